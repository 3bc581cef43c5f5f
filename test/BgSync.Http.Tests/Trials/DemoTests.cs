using TestKit.Trials;
using Xunit;

namespace BgSync.Http.Tests.Trials;

/// <summary>The demo as a new user runs it.</summary>
[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class DemoTests
{
    [Fact]
    public async Task The_demo_shows_that_all_arrive_once_in_order_and_identical()
    {
        await using var demo = TrialProcess.Start("bgsync.dll", "demo", "--images", "3", "--orders", "5");
        await demo.WaitForExitAsync(TimeSpan.FromSeconds(90));

        var output = string.Join('\n', demo.Lines);
        Assert.True(demo.ExitCode == 0, $"{demo}");
        Assert.Contains("The server is stopped", output);
        Assert.Contains("6 requests stand in the queue 'uploads'", output);
        Assert.Contains("SIGKILL", output);
        Assert.Contains("Arrived: 8 of 8. Duplicates: 0. Dead letters: 0.", output);
        Assert.Contains("All arrived once, in order and identical", output);
    }
}

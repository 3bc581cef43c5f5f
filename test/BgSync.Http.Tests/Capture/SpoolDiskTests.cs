using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Capture;

/// <summary>No space for temporary files, told to the process by its environment.</summary>
[Collection(nameof(Alone))]
public sealed class SpoolDiskTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_that_is_sent_from_its_copy_is_sent_although_there_is_no_space_for_one(bool isAsync)
    {
        var body = TestBytes.Random(1024 * 1024);
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = new TestApplication(sync => sync.WriteAhead = true);
        using var request = new HttpRequestMessage(HttpMethod.Post, server.Uri) { Content = new StreamContent(new OneShotStream(body)) };
        var variable = OperatingSystem.IsWindows() ? "TMP" : "TMPDIR";
        var folder = Environment.GetEnvironmentVariable(variable);
        Environment.SetEnvironmentVariable(variable, "/nowhere/");
        try
        {
            using var response = await app.Client.SendAsync(request, isAsync);
        }
        finally
        {
            Environment.SetEnvironmentVariable(variable, folder);
        }

        Assert.Equal(body, Assert.Single(server.Requests).Body.ToArray());
    }
}

using TestKit;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Trials;

[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class LiteDBKillTests(ITestOutputHelper output) : KillTrials(output), IDisposable
{
    private readonly TempDirectory _directory = new();

    protected override TrialStore Store => new($"litedb:{_directory.File("queues.db")}", "BgSync.Http.LiteDB.TestApp.dll");

    public void Dispose() => _directory.Dispose();
}

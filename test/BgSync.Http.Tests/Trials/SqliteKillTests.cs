using TestKit;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.Tests.Trials;

[Collection(TrialCollection.Name)]
[Trait("Category", "Trial")]
public sealed class SqliteKillTests(ITestOutputHelper output) : KillTrials(output), IDisposable
{
    private readonly TempDirectory _directory = new();

    protected override TrialStore Store => new($"sqlite:{_directory.File("queues.db")}");

    public void Dispose() => _directory.Dispose();
}

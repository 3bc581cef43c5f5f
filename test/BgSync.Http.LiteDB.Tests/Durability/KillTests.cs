using System.Globalization;
using BgSync.Http.LiteDB.TestApp;
using TestKit;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Durability;

/// <summary>A process that adds and deletes is killed, again and again on the same file.</summary>
public sealed class KillTests(ITestOutputHelper output) : IDisposable
{
    private const int IdsPerRound = 1_000_000;

    private static readonly TimeSpan _deadline = TimeSpan.FromSeconds(60);

    private readonly TempDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("-", 8)]
    [InlineData("-", 1)]
    [InlineData("a password", 8)]
    public async Task What_a_killed_process_was_told_is_true(string password, int writers)
    {
        var path = _directory.File("notes.db");
        var random = new Random(writers);
        var before = new SortedSet<long>();
        var rounds = TrialRounds.Of(shortRun: 5, fullRun: 100);
        var told = 0;
        for (var round = 1; round <= rounds; round++)
        {
            await using var process = TrialProcess.Start(
                "BgSync.Http.LiteDB.TestApp.dll",
                "notes",
                path,
                password,
                (round * IdsPerRound).ToString(CultureInfo.InvariantCulture),
                writers.ToString(CultureInfo.InvariantCulture));

            // At least once in a trial the log is long enough to be written into the data file.
            var lines = round == 1 ? 8_000 : random.Next(20, 1_500);
            await process.WaitAsync(() => process.Lines.Count > lines, _deadline, $"{lines} lines");
            await process.KillAsync();

            SortedSet<long> after;
            using (var store = new NoteStore(path, password == "-" ? null : password))
            {
                after = await store.ReadAllAsync();
            }

            var (add, added, delete, deleted) = (Ids("add"), Ids("added"), Ids("delete"), Ids("deleted"));
            Assert.Superset(new HashSet<long>(before.Union(added).Except(delete)), new HashSet<long>(after));
            Assert.Subset(new HashSet<long>(before.Union(add).Except(deleted)), new HashSet<long>(after));
            told += added.Count + deleted.Count;
            before = after;

            HashSet<long> Ids(string what) => [.. process.Said(what).Select(id => long.Parse(id, CultureInfo.InvariantCulture))];
        }

        Assert.Empty(Directory.GetFiles(_directory.Path, "*.corrupt-*"));
        output.WriteLine($"{rounds} of {rounds} kills right; {told} operations were acknowledged.");
    }
}

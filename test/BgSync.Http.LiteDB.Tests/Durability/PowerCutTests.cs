using BgSync.Http.LiteDB.TestApp;
using Microsoft.Extensions.Logging.Abstractions;
using TestKit;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Durability;

/// <summary>
/// The power fails at any moment: between two writes, in a commit, in a checkpoint, while the file is made, while a log is applied after
/// an earlier failure. What was committed is there, and nothing is there by half.
/// </summary>
public sealed class PowerCutTests : IDisposable
{
    private const int Commits = 150;
    private const int CutsPerRecord = 40;

    private readonly TempDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData(null)]
    [InlineData("a password")]
    public void What_was_committed_survives_a_power_cut_whole(string? password)
    {
        var rounds = TrialRounds.Of(shortRun: 40, fullRun: 400);
        Trial? trial = null;
        for (var round = 0; round < rounds; round++)
        {
            var random = new Random(round);
            trial = round % CutsPerRecord == 0 || trial is null ? Trial.Run(NewFolder(), password, random) : trial;
            CutPower(trial.Record, trial.Record.PickMoment(random), trial.StatesAfter, password, random, $"round {round}");
        }
    }

    [Fact]
    public void A_log_that_ends_anywhere_has_the_commits_before_its_end()
    {
        var trial = Trial.Run(NewFolder(), null, new Random(0));
        for (var round = 0; round < TrialRounds.Of(shortRun: 20, fullRun: 200); round++)
        {
            var random = new Random(round);
            var folder = NewFolder();
            trial.Record.CutPower(trial.PickCommit(random), random, folder);
            using (var log = File.OpenWrite(Path.Combine(folder, "notes-log.db")))
            {
                log.SetLength(random.NextInt64(log.Length + 1));
            }

            using var database = Open(folder, null, new DiskRecord());
            using var session = database.Open();
            var found = NoteSchema.ReadAll(session);
            Assert.True(trial.WasEver(found), $"round {round}: found {found.Count} notes, which were never there together.");
        }
    }

    private void CutPower(
        DiskRecord record, int after, Func<int, IReadOnlyList<SortedSet<long>>> statesAfter, string? password, Random random, string round)
    {
        var folder = NewFolder();
        record.CutPower(after, random, folder);
        var again = new DiskRecord();
        SortedSet<long> found;
        using (var database = Open(folder, password, again))
        {
            try
            {
                using var session = database.Open();
                found = NoteSchema.ReadAll(session);
                Assert.True(
                    statesAfter(after).Any(found.SetEquals),
                    $"{round}, cut after {after} of {record.Length}: found {found.Count} notes, expected {statesAfter(after)[0].Count}.");

                // The earlier state can be used: nothing in it is half.
                session.Begin();
                foreach (var id in found.Take(3))
                {
                    NoteSchema.Delete(session, id);
                }

                session.Commit();
            }
            catch (Exception exception) when (exception is not Xunit.Sdk.XunitException)
            {
                throw new InvalidOperationException($"{round}, cut after {after} of {record.Length}: {exception.Message}", exception);
            }
        }

        Assert.Empty(Directory.GetFiles(folder, "*.corrupt-*"));

        // And once more, while what the first cut has left is put in order.
        if (random.Next(2) == 0)
        {
            var rest = new SortedSet<long>(found.Skip(3));
            CutPower(again, again.PickMoment(random), _ => [found, rest], password, random, round + " again");
        }

        Directory.Delete(folder, recursive: true);
    }

    private string NewFolder() => Directory.CreateDirectory(_directory.File(Guid.NewGuid().ToString("N"))).FullName;

    private static LiteDatabase Open(string folder, string? password, DiskRecord record) => new(
        Path.Combine(folder, "notes.db"), password, new NoteSchema(), TimeProvider.System, NullLogger.Instance, record.Open);

    /// <summary>Some commits with checkpoints between them, and what stood there after each.</summary>
    private sealed class Trial
    {
        private readonly List<(int Length, SortedSet<long> Notes)> _commits = [(0, [])];

        public DiskRecord Record { get; } = new();

        public static Trial Run(string folder, string? password, Random random)
        {
            var trial = new Trial();
            using var database = Open(folder, password, trial.Record);
            var session = database.Open();
            var notes = new SortedSet<long>();
            for (var commit = 1; commit <= Commits; commit++)
            {
                session.Begin();
                for (var i = random.Next(1, 4); i > 0; i--)
                {
                    if (notes.Count > 0 && random.Next(5) < 2)
                    {
                        var gone = notes.ElementAt(random.Next(notes.Count));
                        NoteSchema.Delete(session, gone);
                        notes.Remove(gone);
                    }
                    else
                    {
                        NoteSchema.Add(session, Note.Of(notes.Max + i + 1));
                        notes.Add(notes.Max + i + 1);
                    }
                }

                if (random.Next(10) == 0)
                {
                    Assert.True(session.TryRollBack());
                    notes = [.. trial._commits[^1].Notes];
                    continue;
                }

                session.Commit();
                trial._commits.Add((trial.Record.Length, [.. notes]));
                if (random.Next(15) == 0)
                {
                    session.Checkpoint();
                }
            }

            session.Dispose();
            return trial;
        }

        /// <summary>A moment when nothing is being written.</summary>
        public int PickCommit(Random random) => _commits[random.Next(1, _commits.Count)].Length;

        public bool WasEver(SortedSet<long> notes) => _commits.Exists(commit => commit.Notes.SetEquals(notes));

        /// <summary>The states that may be found after some operations: the committed one, and the one that was being committed.</summary>
        public IReadOnlyList<SortedSet<long>> StatesAfter(int operations)
        {
            var last = _commits.FindLastIndex(commit => commit.Length <= operations);
            return [.. _commits.Skip(last).Take(2).Select(commit => commit.Notes)];
        }
    }
}

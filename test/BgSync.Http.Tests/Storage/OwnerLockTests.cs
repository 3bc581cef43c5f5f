using BgSync.Http.Storage.Files;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Storage;

/// <summary>Owners that come, while others look who is dead.</summary>
public sealed class OwnerLockTests
{
    [Fact]
    public async Task It_is_taken_though_others_look_for_it_and_remove_it_at_that_moment()
    {
        using var directory = new TempDirectory();
        var database = Path.Combine(directory.Path, "queues.db");
        using var stop = new CancellationTokenSource();
        var looking = Enumerable.Range(0, 3).Select(_ => Task.Run(() => Look(database, stop.Token), CancellationToken.None)).ToArray();
        try
        {
            for (var i = 0; i < 3000; i++)
            {
                var owner = Guid.NewGuid();
                using var taken = OwnerLock.Take(database, owner);
                Assert.False(OwnerLock.IsDead(database, owner));
            }
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(looking);
        }
    }

    [Fact]
    public async Task It_is_held_by_one_at_a_time_though_its_file_comes_and_goes()
    {
        using var directory = new TempDirectory();
        var database = Path.Combine(directory.Path, "queues.db");
        var holders = 0;

        var most = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(Take)));

        Assert.All(most, static holders => Assert.Equal(1, holders));

        int Take()
        {
            var most = 0;
            for (var i = 0; i < 1000; i++)
            {
                using var taken = OwnerLock.Take(database, Guid.Empty);
                most = Math.Max(most, Interlocked.Increment(ref holders));
                Interlocked.Decrement(ref holders);
            }

            return most;
        }
    }

    private static void Look(string database, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            foreach (var owner in OwnerLock.Find(database).Where(owner => OwnerLock.IsDead(database, owner)))
            {
                OwnerLock.RemoveDead(database, owner);
            }
        }
    }
}

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

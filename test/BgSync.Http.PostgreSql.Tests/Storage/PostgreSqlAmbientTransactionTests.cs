using System.Transactions;
using BgSync.Http.PostgreSql.Tests.Infrastructure;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Storage;

/// <summary>A transaction that the caller has open is the caller's: what is queued in it is on disk whatever becomes of it.</summary>
public sealed class PostgreSqlAmbientTransactionTests(ClassDatabase shared) : PostgreSqlStoreFixture(shared)
{
    [Fact]
    public async Task What_is_queued_in_a_transaction_is_queued_though_that_is_rolled_back()
    {
        var store = Open();
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await store.AddAsync(Entry("/1"), Cancellation);
        }

        await store.AddAsync(Entry("/2"), Cancellation);
        Assert.Equal(["/1", "/2"], await ReadPathsAsync(store));
    }

    [Fact]
    public async Task What_is_read_in_a_transaction_leaves_none_open_in_the_database()
    {
        var store = Open();
        await store.AddAsync(Entry("/1"), Cancellation);
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            Assert.Equal(["/1"], await ReadPathsAsync(store));

            using var suppressed = new TransactionScope(TransactionScopeOption.Suppress, TransactionScopeAsyncFlowOption.Enabled);
            Assert.Equal(0, await Database.ScalarAsync("""
                SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'
                """));
        }
    }
}

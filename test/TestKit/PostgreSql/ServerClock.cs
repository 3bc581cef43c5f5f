using Npgsql;

namespace TestKit.PostgreSql;

/// <summary>Puts a clock that tests set in the place of the server's own.</summary>
internal sealed class ServerClock : IDisposable
{
    private readonly NpgsqlDataSource _database;
    private readonly IDisposable _following;

    public ServerClock(NpgsqlDataSource database, string schema, TestClock clock)
    {
        _database = database;
        Execute($"""
            CREATE TABLE IF NOT EXISTS public.test_clock (ms bigint NOT NULL);
            DELETE FROM public.test_clock;
            INSERT INTO public.test_clock VALUES (0);
            CREATE OR REPLACE FUNCTION {schema}.now_ms() RETURNS bigint LANGUAGE sql AS 'SELECT ms FROM public.test_clock';
            """);
        Set(clock.GetUtcNow());
        _following = clock.OnAdvanced(Set);
    }

    public void Dispose() => _following.Dispose();

    private void Set(DateTimeOffset now) => Execute($"UPDATE public.test_clock SET ms = {now.ToUnixTimeMilliseconds()}");

    private void Execute(string sql)
    {
        using var command = _database.CreateCommand(sql);
        command.ExecuteNonQuery();
    }
}

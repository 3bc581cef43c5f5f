using Npgsql;

namespace TestKit.PostgreSql;

/// <summary>Puts a clock that tests set in the place of the server's own.</summary>
internal sealed class ServerClock : IDisposable
{
    private readonly NpgsqlDataSource _database;
    private readonly FakeTimeProvider _clock;

    public ServerClock(NpgsqlDataSource database, string schema, FakeTimeProvider clock)
    {
        _database = database;
        _clock = clock;
        Execute($"""
            CREATE TABLE IF NOT EXISTS public.test_clock (ms bigint NOT NULL);
            DELETE FROM public.test_clock;
            INSERT INTO public.test_clock VALUES (0);
            CREATE OR REPLACE FUNCTION {schema}.now_ms() RETURNS bigint LANGUAGE sql AS 'SELECT ms FROM public.test_clock';
            """);
        Set(clock.GetUtcNow());
        clock.Advanced += Set;
    }

    public void Dispose() => _clock.Advanced -= Set;

    private void Set(DateTimeOffset now) => Execute($"UPDATE public.test_clock SET ms = {now.ToUnixTimeMilliseconds()}");

    private void Execute(string sql)
    {
        using var command = _database.CreateCommand(sql);
        command.ExecuteNonQuery();
    }
}

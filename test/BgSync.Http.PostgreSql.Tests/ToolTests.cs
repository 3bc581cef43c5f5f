using Npgsql;
using TestKit.PostgreSql;
using TestKit.Trials;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests;

/// <summary><c>bgsync postgres …</c> and <c>bgsync list --postgres</c>, as processes.</summary>
public sealed class ToolTests(PostgreSqlCluster cluster) : IAsyncLifetime
{
    private static readonly TimeSpan _deadline = TimeSpan.FromSeconds(60);

    private PostgreSqlDatabase _database = null!;

    public async ValueTask InitializeAsync() => _database = await cluster.CreateDatabaseAsync(migrated: false);

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task Migrate_makes_the_schema_and_list_reads_it()
    {
        var (_, missing) = await RunAsync(1, "list", "orders", "--postgres", _database.ConnectionString);
        Assert.Contains("Run: bgsync postgres migrate", missing, StringComparison.Ordinal);

        var (made, _) = await RunAsync(0, "postgres", "migrate", "--connection", _database.ConnectionString);
        Assert.Contains("Schema 'bgsync' is now of version 1; before: 0.", made, StringComparison.Ordinal);
        var (again, _) = await RunAsync(0, "postgres", "migrate", "--connection", _database.ConnectionString);
        Assert.Contains("is of version 1 already", again, StringComparison.Ordinal);

        var (list, _) = await RunAsync(0, "list", "orders", "--postgres", _database.ConnectionString);
        Assert.Contains("0 waiting", list, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Script_prints_what_makes_the_schema()
    {
        var (script, _) = await RunAsync(0, "postgres", "script", "--schema", "mine");

        Assert.Equal(PostgreSqlMigrations.GetScript("mine").ReplaceLineEndings().Trim(), script.ReplaceLineEndings().Trim());
    }

    [Fact]
    public async Task A_password_is_never_told()
    {
        var wrong = new NpgsqlConnectionStringBuilder(_database.ConnectionString) { Password = "s3cret-pass" }.ConnectionString;
        foreach (var connection in new[] { wrong, wrong + ";Nonsense=1" })
        {
            var (output, error) = await RunAsync(1, "postgres", "migrate", "--connection", connection);

            Assert.NotEmpty(error);
            Assert.DoesNotContain("s3cret-pass", output + error, StringComparison.Ordinal);
        }
    }

    private static async Task<(string Output, string Error)> RunAsync(int exitCode, params string[] arguments)
    {
        await using var tool = TrialProcess.Start("bgsync.dll", arguments);
        await tool.WaitForExitAsync(_deadline);
        Assert.True(tool.ExitCode == exitCode, tool.ToString());
        return (string.Join('\n', tool.Lines), string.Join('\n', tool.Errors));
    }
}

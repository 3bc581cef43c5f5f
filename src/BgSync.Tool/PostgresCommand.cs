using System.CommandLine;
using System.Globalization;
using BgSync.Http;
using BgSync.Http.PostgreSql;
using Npgsql;

namespace BgSync.Tool;

/// <summary><c>bgsync postgres script|migrate</c>: the schema of the PostgreSQL store, to read or to apply.</summary>
internal static class PostgresCommand
{
    /// <summary>Names the database where the command line does not: a password does not belong there.</summary>
    public const string Variable = "BGSYNC_POSTGRES";

    public static Command Create() => new("postgres", "Makes the schema of the PostgreSQL store, or prints how.") { Script(), Migrate() };

    /// <summary>The connection string of an option, or of the environment.</summary>
    public static Option<string?> ConnectionOption(string name) => new(name)
    {
        Description = $"The database, such as \"Host=db;Database=app;Username=owner\". Default: what {Variable} says.",
        HelpName = "CONNECTION",
        DefaultValueFactory = static _ => Environment.GetEnvironmentVariable(Variable),
    };

    public static Option<string> SchemaOption() => new("--schema")
    {
        Description = "The schema.",
        DefaultValueFactory = static _ => new PostgreSqlStoreOptions().Schema,
    };

    /// <returns>The exit code. No message holds the connection string, or the password in it.</returns>
    public static async Task<int> FailAsync(Exception exception)
    {
        await Console.Error.WriteLineAsync(exception switch
        {
            PostgresException refused => $"The server refuses: {refused.MessageText}",
            // Npgsql names the keyword that it does not know, and no value.
            ArgumentException => $"The connection string or the schema is not valid: {exception.Message}",
            _ => exception.Message,
        });
        return 1;
    }

    private static Command Script()
    {
        var schema = SchemaOption();
        var from = new Option<int>("--from")
        {
            Description = "The version that is installed; 0 where there is none.",
            HelpName = "VERSION",
        };
        var role = new Option<string?>("--grant-to") { Description = "Prints what lets a role use the store, instead.", HelpName = "ROLE" };
        var command = new Command("script", "Prints the SQL that makes the schema, or brings an older one up to date.") { schema, from, role };
        command.SetAction(async (parsed, _) =>
        {
            try
            {
                await Console.Out.WriteAsync(parsed.GetValue(role) is { } grantee
                    ? PostgreSqlMigrations.GetGrants(grantee, parsed.GetRequiredValue(schema))
                    : PostgreSqlMigrations.GetScript(parsed.GetRequiredValue(schema), parsed.GetValue(from)));
                return 0;
            }
            catch (ArgumentException e)
            {
                return await FailAsync(e);
            }
        });
        return command;
    }

    private static Command Migrate()
    {
        var connection = ConnectionOption("--connection");
        var schema = SchemaOption();
        var command = new Command("migrate", "Makes the schema, or brings an older one up to date, in one transaction.")
        {
            connection, schema,
        };
        command.SetAction((parsed, cancellationToken) =>
            MigrateAsync(parsed.GetValue(connection), parsed.GetRequiredValue(schema), cancellationToken));
        return command;
    }

    private static async Task<int> MigrateAsync(string? connection, string schema, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(connection))
        {
            await Console.Error.WriteLineAsync($"Which database? Write --connection CONNECTION, or set {Variable}.");
            return 1;
        }

        try
        {
            await using var dataSource = NpgsqlDataSource.Create(connection);
            var before = await PostgreSqlMigrations.ApplyAsync(dataSource, schema, cancellationToken);
            Console.WriteLine(before == PostgreSqlMigrations.LatestVersion
                ? string.Create(CultureInfo.InvariantCulture, $"Schema '{schema}' is of version {before} already.")
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"Schema '{schema}' is now of version {PostgreSqlMigrations.LatestVersion}; before: {before}."));
            return 0;
        }
        catch (Exception e) when (e is NpgsqlException or QueueStoreException or ArgumentException)
        {
            return await FailAsync(e);
        }
    }
}

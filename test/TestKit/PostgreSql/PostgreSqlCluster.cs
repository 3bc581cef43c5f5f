using System.Diagnostics;
using System.Security.Cryptography;
using BgSync.Http.PostgreSql;
using BgSync.Tool.Demo;
using Npgsql;
using Xunit;

namespace TestKit.PostgreSql;

/// <summary>
/// A PostgreSQL server of the tests' own, with the durability of a real one, on a free port of the loopback; gone when they are. All tests
/// share one; a test that stops or restarts it takes one of its own (<see cref="StartNewAsync"/>).
/// </summary>
public sealed class PostgreSqlCluster : IAsyncLifetime
{
    /// <summary>Waits until its standard input ends, which it does however this process ends, and leaves nothing behind.</summary>
    private const string Keeper = """
        trap '' INT TERM HUP
        cat > /dev/null
        "$1/pg_ctl" stop -D "$2/data" -m immediate > /dev/null 2>&1
        rm -rf "$2"
        """;

    private const string Template = "bgsync_template";

    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly string _password = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
    private readonly string? _programs = PostgreSqlPrograms.Find();
    private ServerAccount _account = null!;
    private string _folder = "";
    private Process? _keeper;
    private int _port;
    private int _databases;

    /// <summary>Whether there is a server; where there is none every test is skipped by what it asks for.</summary>
    public bool IsRunning => _keeper is not null;

    private string Data => Path.Combine(_folder, "data");

    /// <summary>Starts a server of a test's own.</summary>
    public static async Task<PostgreSqlCluster> StartNewAsync()
    {
        var cluster = new PostgreSqlCluster();
        await cluster.InitializeAsync();
        cluster.Require();
        return cluster;
    }

    public async ValueTask InitializeAsync()
    {
        if (_programs is null)
        {
            return;
        }

        _account = new ServerAccount();
        _folder = Directory.CreateTempSubdirectory("bgsync-postgres-").FullName;
        var password = Path.Combine(_folder, "password");
        await File.WriteAllTextAsync(password, _password);
        if (_account.Owner is { } owner)
        {
            await RunAsync(new ProcessStartInfo("chown", ["-R", owner, _folder]));
        }

        _keeper = StartKeeper();
        await RunAsync(
            "initdb", "-D", Data, "-U", "postgres", "--auth=scram-sha-256", $"--pwfile={password}", "--encoding=UTF8", "--no-locale",
            "--no-sync");
        await StartOnFreePortAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_keeper is not null)
        {
            _keeper.StandardInput.Close();
            await _keeper.WaitForExitAsync();
            _keeper.Dispose();
        }

        _gate.Dispose();
    }

    /// <summary>Skips the test where there is no server.</summary>
    public void Require()
    {
        if (_programs is null)
        {
            Unpermitted.Skip("There is no PostgreSQL server on this machine: 'initdb' is neither in /usr/lib/postgresql nor in the PATH.");
        }
    }

    /// <summary>How the superuser gets into a database.</summary>
    public string ConnectionString(string database = "postgres")
    {
        Require();
        return new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = _port,
            Username = "postgres",
            Password = _password,
            Database = database,
            IncludeErrorDetail = true,
        }.ConnectionString;
    }

    /// <summary>Makes a database, with the store's schema in it or empty.</summary>
    public async Task<PostgreSqlDatabase> CreateDatabaseAsync(bool migrated = true)
    {
        Require();
        await _gate.WaitAsync();
        try
        {
            await using var server = NpgsqlDataSource.Create(ConnectionString() + ";Pooling=false");
            if (migrated && _databases == 0)
            {
                await ExecuteAsync(server, $"CREATE DATABASE {Template}");
                await using var template = NpgsqlDataSource.Create(ConnectionString(Template) + ";Pooling=false");
                await PostgreSqlMigrations.ApplyAsync(template, PostgreSqlDatabase.Schema, CancellationToken.None);
                _databases = 1;
            }

            var name = $"test_{Guid.NewGuid():N}";
            await ExecuteAsync(server, $"CREATE DATABASE {name} TEMPLATE {(migrated ? Template : "template0")}");
            return new PostgreSqlDatabase(this, name);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Makes a role that may log in and nothing else.</summary>
    /// <returns>How it gets into a database.</returns>
    public async Task<string> CreateRoleAsync(string role, string database)
    {
        await using var server = NpgsqlDataSource.Create(ConnectionString() + ";Pooling=false");
        await ExecuteAsync(server, $"CREATE ROLE \"{role.Replace("\"", "\"\"", StringComparison.Ordinal)}\" LOGIN PASSWORD '{_password}'");
        return new NpgsqlConnectionStringBuilder(ConnectionString(database)) { Username = role }.ConnectionString;
    }

    public async Task DropDatabaseAsync(string database)
    {
        await using var server = NpgsqlDataSource.Create(ConnectionString() + ";Pooling=false");
        await ExecuteAsync(server, $"DROP DATABASE IF EXISTS {database} WITH (FORCE)");
    }

    /// <summary>Stops the server.</summary>
    /// <param name="mode"><c>fast</c>: its connections are cut and it shuts down; <c>immediate</c>: as in a crash.</param>
    public Task StopAsync(string mode) => RunAsync("pg_ctl", "stop", "-D", Data, "-m", mode, "-w");

    public Task StartAsync() => RunAsync("pg_ctl", "start", "-D", Data, "-l", Path.Combine(_folder, "log"), "-w");

    public async Task RestartAsync(string mode)
    {
        await StopAsync(mode);
        await StartAsync();
    }

    private Process StartKeeper()
    {
        var start = _account.Start(_folder, "sh", "-c", Keeper, "keeper", _programs!, _folder);
        start.RedirectStandardInput = true;
        return Process.Start(start)!;
    }

    private async Task StartOnFreePortAsync()
    {
        for (var left = 5; ; left--)
        {
            _port = ReopenablePort.Pick();
            await File.WriteAllTextAsync(
                Path.Combine(Data, "postgresql.auto.conf"),
                $"""
                listen_addresses = '127.0.0.1'
                port = {_port}
                unix_socket_directories = ''
                max_connections = 200

                """);
            try
            {
                await StartAsync();
                return;
            }
            catch (InvalidOperationException) when (left > 0)
            {
                // Somebody else has taken the port meanwhile.
            }
        }
    }

    private Task RunAsync(string program, params IEnumerable<string> arguments) =>
        RunAsync(_account.Start(_folder, [Path.Combine(_programs!, program), .. arguments]));

    private async Task RunAsync(ProcessStartInfo start)
    {
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            var log = Path.Combine(_folder, "log");
            throw new InvalidOperationException(
                $"{start.FileName} {string.Join(' ', start.ArgumentList)}: {await error}{await output}"
                + (File.Exists(log) ? await File.ReadAllTextAsync(log) : ""));
        }
    }

    private static async Task ExecuteAsync(NpgsqlDataSource server, string sql)
    {
        await using var command = server.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}

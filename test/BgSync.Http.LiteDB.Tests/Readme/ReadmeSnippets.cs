using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using TestKit;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Readme;

/// <summary>The code of the README about LiteDB, compiled and run.</summary>
public sealed class ReadmeSnippets : IDisposable
{
    private readonly TempDirectory _directory = new();

    private HostApplicationBuilder builder { get; } = new(new HostApplicationBuilderSettings { DisableDefaults = true });

    private string folder => _directory.Path;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task The_file()
    {
        builder.Services.AddBackgroundSyncLiteDB(Path.Combine(folder, "queues.db"));

        await AssertIsKeptAsync();
    }

    [Fact]
    public async Task The_password()
    {
        var password = "secret";

        builder.Services.AddBackgroundSyncLiteDB($"Filename={Path.Combine(folder, "queues.db")};Password={password}");

        await AssertIsKeptAsync();
    }

    private async Task AssertIsKeptAsync()
    {
        using var host = builder.Build();
        var store = Assert.IsType<LiteDBQueueStore>(host.Services.GetRequiredService<IQueueStore>());
        await store.CountAsync("orders", TestContext.Current.CancellationToken);
        Assert.True(File.Exists(Path.Combine(folder, "queues.db")));
    }
}

using BgSync.Http.PostgreSql.Tests.Infrastructure;
using BgSync.Http.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Xunit;

namespace BgSync.Http.PostgreSql.Tests.Readme;

/// <summary>The code of the README about PostgreSQL, compiled and run.</summary>
public sealed class ReadmeSnippets(ClassDatabase shared) : IClassFixture<ClassDatabase>
{
    private HostApplicationBuilder builder { get; } = new(new HostApplicationBuilderSettings { DisableDefaults = true });

    private NpgsqlDataSource dataSource => shared.Database.DataSource;

    [Fact]
    public async Task The_database()
    {
        builder.Services.AddBackgroundSyncPostgreSql(dataSource);

        await AssertIsUsedAsync();
    }

    [Fact]
    public async Task The_pooler()
    {
        builder.Services.AddBackgroundSyncPostgreSql(dataSource, store => store.PollOnly = true);

        await AssertIsUsedAsync();
    }

    private async Task AssertIsUsedAsync()
    {
        using var host = builder.Build();
        var store = Assert.IsType<PostgreSqlQueueStore>(host.Services.GetRequiredService<IQueueStore>());
        Assert.Equal(default, await store.CountAsync("orders", TestContext.Current.CancellationToken));
    }
}

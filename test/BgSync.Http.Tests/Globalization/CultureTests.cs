using System.Globalization;
using System.Net;
using BgSync.Http.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Globalization;

/// <summary>
/// The library behaves alike in every culture: in one with another upper case of "i", other digits and signs, another calendar, another
/// decimal separator.
/// </summary>
public sealed class CultureTests
{
    public static TheoryData<string> Names => new(Cultures.Names);

    /// <summary>The other tests of this class would find nothing with <c>InvariantGlobalization</c>.</summary>
    [Fact]
    public void The_tests_run_with_real_cultures()
    {
        using var culture = new CultureScope("tr-TR");

        Assert.Equal("İ", "i".ToUpper(CultureInfo.CurrentCulture));
        Assert.Equal("1,5", 1.5.ToString(CultureInfo.CurrentCulture));
        Assert.NotEqual(2026, CultureInfo.GetCultureInfo("th-TH").Calendar.GetYear(new DateTime(2026, 1, 1)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_request_is_queued_and_delivered(string culture)
    {
        using var scope = new CultureScope(culture);
        await using var server = new RawServer(Scripts.Respond(201));
        await server.StopAsync();
        await using var app = new TestApplication(sync =>
        {
            sync.Routes.Add("patch /ITEMS/{id}");
            sync.LaneBy(request => request.RequestUri!.AbsolutePath);
            sync.CoalesceBy(request => request.RequestUri!.AbsolutePath);
        });
        using var request = new HttpRequestMessage(HttpMethod.Patch, new Uri(server.Uri, "items/1"))
        {
            Content = new StringContent("I ı İ i"),
        };
        request.Headers.TryAddWithoutValidation("X-TITLE-ID", "title");
        request.Headers.TryAddWithoutValidation("AUTHORIZATION", "Bearer secret");
        request.Headers.IfModifiedSince = new DateTimeOffset(2026, 2, 3, 4, 5, 6, TimeSpan.Zero);

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));
        server.Start();
        var entry = Assert.Single(await app.EntriesAsync());
        var summary = await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(1, summary.Delivered);
        Assert.DoesNotContain(entry.Request.Headers, header => header.Key.Equals("Authorization", StringComparison.OrdinalIgnoreCase));
        Assert.InRange(entry.Timestamp, TimeProvider.System.GetUtcNow().AddMinutes(-5), TimeProvider.System.GetUtcNow());
        var received = Assert.Single(server.Requests);
        Assert.Equal("I ı İ i", received.Text);
        Assert.Equal(["title"], received.ValuesOf("x-title-id"));
        Assert.Equal(["Tue, 03 Feb 2026 04:05:06 GMT"], received.ValuesOf("if-modified-since"));
        Assert.Equal(201, (await app.Queue.GetReceiptAsync(entry.Id))?.StatusCode);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task What_a_failure_leaves_is_the_same(string culture)
    {
        using var scope = new CultureScope(culture);
        await using var server = new RawServer(Scripts.NeverAnswer());
        await using var app = new TestApplication(sync => sync.AttemptTimeout = TimeSpan.FromSeconds(1.5));
        await app.Queue.PushAsync(new HttpRequestMessage(HttpMethod.Put, server.Uri));

        await app.Queue.ReplayAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(
            "Timeout: The request was canceled due to the configured timeout of 1.5 seconds elapsing.",
            Assert.Single(await app.EntriesAsync()).LastError);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_route_matches_whatever_the_case_of_its_letters(string culture)
    {
        using var scope = new CultureScope(culture);
        await using var app = new TestApplication(sync => sync.Routes.Add("delete /INVOICES/{id}/Items"));
        var table = app.Services.GetRequiredKeyedService<RouteTable>(TestApplication.QueueName);

        Assert.True(table.IsMatch(new HttpRequestMessage(HttpMethod.Delete, "http://host/invoices/1/items")));
        Assert.True(table.IsMatch(new HttpRequestMessage(HttpMethod.Delete, "HTTP://HOST/INVOICES/1/ITEMS")));
        Assert.False(table.IsMatch(new HttpRequestMessage(HttpMethod.Delete, "http://host/%C4%B1nvoices/1/items")));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_name_of_a_queue_has_the_letters_of_ASCII(string culture)
    {
        using var scope = new CultureScope(culture);

        QueueName.Validate("Invoices-i.I_1");
        Assert.Throws<ArgumentException>(() => QueueName.Validate("ınvoices"));
        Assert.Throws<ArgumentException>(() => QueueName.Validate("queue-٣"));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Options_are_read_as_they_are_written(string culture)
    {
        using var scope = new CultureScope(culture);
        var section = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Queue:WHENQUEUED"] = "WAIT",
            ["Queue:ATTEMPTTIMEOUT"] = "00:00:01.5",
            ["Queue:Limits:MaxEntries"] = "1500",
            ["Queue:Capture:SecretHeaders:0"] = "X-API-ID",
            ["Queue:QueuedStatuses:0"] = "serviceunavailable",
            ["Queue:Routes:0"] = "patch /items",
        }).Build().GetSection("Queue");
        var services = new ServiceCollection();
        services.AddHttpClient("api").AddBackgroundSync("orders", section);
        using var provider = services.BuildServiceProvider();

        var options = provider.GetRequiredService<IOptionsMonitor<BackgroundSyncOptions>>().Get("orders");

        Assert.Equal((WhenQueued.Wait, TimeSpan.FromSeconds(1.5)), (options.WhenQueued, options.AttemptTimeout));
        Assert.Equal(1500, options.Limits.MaxEntries);
        Assert.Contains("x-api-id", options.Capture.SecretHeaders);
        Assert.Contains(HttpStatusCode.ServiceUnavailable, options.QueuedStatuses);
    }
}

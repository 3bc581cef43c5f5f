using System.Globalization;
using BgSync.Http.Capture;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Capture;

/// <summary>Named options of a request go through the notes of its entry, each with its type.</summary>
public sealed class RequestOptionsTests
{
    public static TheoryData<object> Values =>
    [
        "contoso", "", "a:b\r\nł", true, false, int.MinValue, long.MaxValue, 0.1, -0.0, double.NaN, double.NegativeInfinity, double.MaxValue, Guid.NewGuid(),
        new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, TimeSpan.FromHours(5.5)).AddTicks(9), DateTimeOffset.MaxValue,
        new Uri("https://api.test/ł?q#f"), new Uri("a/b", UriKind.Relative),
    ];

    [Theory]
    [MemberData(nameof(Values), DisableDiscoveryEnumeration = true)]
    public void A_value_comes_back_with_its_type_in_any_culture(object value)
    {
        var culture = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = new CultureInfo("")
        {
            NumberFormat = { NegativeSign = "minus", NumberDecimalSeparator = ",", NaNSymbol = "none" },
        };
        try
        {
            using var request = new HttpRequestMessage();
            ((IDictionary<string, object?>)request.Options)["tenant"] = value;
            var metadata = RequestOptionsCodec.AddTo(null, request, ["tenant", "missing"]);

            using var restored = Restore(metadata!);
            var back = ((IDictionary<string, object?>)restored.Options)["tenant"];

            Assert.Equal(value.GetType(), back!.GetType());
            Assert.Equal(value, back);
            Assert.Equal("option:tenant", Assert.Single(restored.GetBackgroundSyncMetadata()).Key);
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }

    [Fact]
    public void The_callers_notes_are_kept_beside_the_options()
    {
        using var request = new HttpRequestMessage();
        request.Options.Set(new HttpRequestOptionsKey<int>("shard"), 7);
        var notes = new Dictionary<string, string> { ["order"] = "17" };

        var both = RequestOptionsCodec.AddTo(notes, request, ["shard"]);

        Assert.Equal(new Dictionary<string, string> { ["order"] = "17", ["option:shard"] = "int:7" }, both);
        Assert.Single(notes);
        Assert.Same(notes, RequestOptionsCodec.AddTo(notes, request, []));
        Assert.Same(notes, RequestOptionsCodec.AddTo(notes, request, ["missing"]));
    }

    [Theory]
    [InlineData(1.5f, "System.Single")]
    [InlineData('c', "System.Char")]
    [InlineData(null, "surrogate")]
    public void A_value_that_cannot_be_written_down_is_named(object? value, string named)
    {
        using var request = new HttpRequestMessage();
        // The runner would repair the text on its way here.
        ((IDictionary<string, object?>)request.Options)["tenant"] = value ?? "\ud800";

        var failure = Assert.Throws<NotStorableException>(() => RequestOptionsCodec.AddTo(null, request, ["tenant"]));

        Assert.Contains("'tenant'", failure.Message, StringComparison.Ordinal);
        Assert.Contains(named, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("int:")]
    [InlineData("int:1.5")]
    [InlineData("int:99999999999")]
    [InlineData("bool:1")]
    [InlineData("Guid:x")]
    [InlineData("Uri:x")]
    [InlineData("DateTimeOffset:yesterday")]
    [InlineData("Half:1")]
    [InlineData("contoso")]
    [InlineData("")]
    public void Damaged_text_is_left_out(string text)
    {
        using var restored = Restore(new Dictionary<string, string> { ["option:tenant"] = text });
        Assert.DoesNotContain("tenant", ((IDictionary<string, object?>)restored.Options).Keys);
    }

    [Fact]
    public async Task Handlers_inside_find_the_notes_at_a_replay()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.CloseAfterRequest(), Scripts.Respond(200)));
        var seen = new List<string>();
        await using var app = new TestApplication(inner: builder => builder.AddHttpMessageHandler(() => new ObservingHandler(
            request => seen.Add(request.GetBackgroundSyncMetadata().GetValueOrDefault("order", "none")))));
        using var request = new HttpRequestMessage(HttpMethod.Put, server.Uri) { Content = new StringContent("order") };
        request.SetBackgroundSyncMetadata(new Dictionary<string, string> { ["order"] = "17" });

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.SendAsync(request));
        await app.Queue.ReplayAsync(Timeout.InfiniteTimeSpan);

        Assert.Equal(["17", "17"], seen);
        using var other = new HttpRequestMessage();
        Assert.Empty(other.GetBackgroundSyncMetadata());
    }

    private static HttpRequestMessage Restore(IReadOnlyDictionary<string, string> metadata) =>
        RequestRestorer.Restore(new() { Method = HttpMethod.Get, Uri = new("http://api.test/") }, content: null, metadata);
}

using BgSync.Http.Queue;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace BgSync.Http.Tests.Queue;

/// <summary>A request that was queued and comes again from a handler outside is known.</summary>
public sealed class QueuedRequestsTests
{
    private const string KeyHeader = "Idempotency-Key";

    private static readonly Uri _uri = new("http://host/orders");

    private readonly FakeTimeProvider _clock = new();
    private readonly QueuedRequests _requests;

    public QueuedRequestsTests() => _requests = new QueuedRequests("queue", KeyHeader, _clock);

    /// <summary>Requests that come after a POST to /orders with the key "k-1" was queued as entry 7.</summary>
    public static TheoryData<string, Action<HttpRequestMessage, HttpRequestMessage>, bool> Copies => new()
    {
        { "nothing in common", (_, _) => { }, false },
        { "its key", (_, copy) => copy.Headers.Add(KeyHeader, "k-1"), true },
        { "its key, another spelling of the header", (_, copy) => copy.Headers.Add("idempotency-KEY", "k-1"), true },
        { "another key", (_, copy) => copy.Headers.Add(KeyHeader, "K-1"), false },
        { "its key, another method", (_, copy) => Change(copy, HttpMethod.Put, "http://host/orders", "k-1"), false },
        { "its key, another address", (_, copy) => Change(copy, HttpMethod.Post, "http://host/orders/2", "k-1"), false },
        { "its options", CopyOptions, true },
        { "its options, another key", (first, copy) => { CopyOptions(first, copy); copy.Headers.Add(KeyHeader, "k-2"); }, true },
        { "its options, another address", (first, copy) =>
            {
                CopyOptions(first, copy);
                Change(copy, HttpMethod.Post, "http://host/orders/2", null);
            }, false },
        { "its options, another method", (first, copy) =>
            {
                CopyOptions(first, copy);
                Change(copy, HttpMethod.Delete, "http://host/orders", null);
            }, false },
    };

    [Fact]
    public void The_message_of_a_queued_request_is_known_though_a_redirect_changed_it()
    {
        using var request = Post();
        Add(request, 7);
        (request.Method, request.RequestUri) = (HttpMethod.Get, new Uri("http://other/"));

        Assert.True(_requests.TryGet(request, out var queued, out var isCopy));
        Assert.Equal((7, false), (queued.EntryId, isCopy));
        Assert.Equal("refused", queued.Failure.Message);
    }

    [Theory]
    [MemberData(nameof(Copies), DisableDiscoveryEnumeration = true)]
    public void A_copy_is_known_by_its_options_or_its_key(
        string situation, Action<HttpRequestMessage, HttpRequestMessage> change, bool isKnown)
    {
        using var request = Post();
        Add(request, 7, "k-1");
        using var copy = Post();
        change(request, copy);

        Assert.Equal(isKnown, _requests.TryGet(copy, out var queued, out var isCopy));
        Assert.Equal(isKnown ? 7 : null, queued?.EntryId);
        Assert.True(isCopy || !isKnown);
        Assert.NotEmpty(situation);
    }

    [Fact]
    public void Without_a_header_of_keys_a_key_means_nothing()
    {
        var requests = new QueuedRequests("queue", keyHeader: null, _clock);
        using var request = Post();
        request.Headers.Add(KeyHeader, "k-1");
        requests.Add(request, Snapshot("k-1"), Queued(7));
        using var copy = Post();
        copy.Headers.Add(KeyHeader, "k-1");

        Assert.False(requests.TryGet(copy, out _, out _));
        Assert.True(requests.TryGet(request, out _, out _));
    }

    [Fact]
    public void A_request_is_forgotten_after_the_window()
    {
        using var request = Post();
        Add(request, 7, "k-1");

        _clock.Advance(QueuedRequests.Window);
        Assert.True(_requests.TryGet(request, out _, out _));
        _clock.Advance(TimeSpan.FromTicks(1));
        Assert.False(_requests.TryGet(request, out _, out _));
    }

    [Fact]
    public void The_oldest_request_is_forgotten_first()
    {
        for (var i = 1; i <= QueuedRequests.Capacity + 1; i++)
        {
            using var request = Post();
            Add(request, i, $"k-{i}");
        }

        Assert.False(IsKnown(1));
        Assert.True(IsKnown(2));
        Assert.True(IsKnown(QueuedRequests.Capacity + 1));
    }

    [Fact]
    public void A_forgotten_request_takes_a_later_one_of_the_same_key_with_it_never()
    {
        using var first = Post();
        Add(first, 7, "k-1");
        _clock.Advance(QueuedRequests.Window / 2);
        using var second = Post();
        Add(second, 7, "k-1");
        _clock.Advance(QueuedRequests.Window);
        using var third = Post();
        Add(third, 8, "k-2");

        using var copy = Post();
        copy.Headers.Add(KeyHeader, "k-1");
        Assert.True(_requests.TryGet(copy, out _, out _));
    }

    [Fact]
    public void An_answer_of_another_queue_is_none_of_this_one()
    {
        using var request = Post();
        new QueuedRequests("other", KeyHeader, _clock).Add(request, Snapshot("k-1"), Queued(7));
        using var another = Post();
        Add(another, 8, "k-2");

        Assert.False(_requests.TryGet(request, out _, out _));
    }

    [Fact]
    public void A_request_that_was_never_queued_costs_no_allocation()
    {
        using var strange = Post();
        strange.Headers.Add(KeyHeader, "k-2");
        strange.SetBackgroundSyncEntryId(8);
        Look(strange);
        Assert.Equal(0, AllocatedBy(() => Look(strange)));

        using var request = Post();
        Add(request, 7, "k-1");
        Look(strange);
        Assert.Equal(0, AllocatedBy(() => Look(strange)));
    }

    [Fact]
    public void A_message_that_nobody_holds_is_not_kept()
    {
        var message = AddAndForget();

        for (var i = 0; i < 10 && message.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(message.IsAlive);
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private WeakReference AddAndForget()
    {
        var request = Post();
        Add(request, 7, "k-1");
        return new WeakReference(request);
    }

    private void Look(HttpRequestMessage request)
    {
        for (var i = 0; i < 100; i++)
        {
            _requests.TryGet(request, out _, out _);
        }
    }

    private static long AllocatedBy(Action action)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        // The delegate was made before.
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private bool IsKnown(long id)
    {
        using var byKey = Post();
        byKey.Headers.Add(KeyHeader, $"k-{id}");
        return _requests.TryGet(byKey, out _, out _);
    }

    private void Add(HttpRequestMessage request, long id, string? key = null) =>
        _requests.Add(request, Snapshot(key), Queued(id));

    private static QueuedRequest Queued(long id) => new(new EnqueueResult(id, Coalescing.Append), new IOException("refused"), null);

    private static RequestSnapshot Snapshot(string? key) => new()
    {
        Method = HttpMethod.Post,
        Uri = _uri,
        Headers = key is null ? [] : [new(KeyHeader, key)],
    };

    private static HttpRequestMessage Post() => new(HttpMethod.Post, _uri);

    private static void CopyOptions(HttpRequestMessage request, HttpRequestMessage copy)
    {
        foreach (var (name, value) in (IDictionary<string, object?>)request.Options)
        {
            ((IDictionary<string, object?>)copy.Options)[name] = value;
        }
    }

    private static void Change(HttpRequestMessage request, HttpMethod method, string uri, string? key)
    {
        (request.Method, request.RequestUri) = (method, new Uri(uri));
        if (key is not null)
        {
            request.Headers.Add(KeyHeader, key);
        }
    }
}

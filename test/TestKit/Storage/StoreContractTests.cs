using System.Net;
using System.Security.Cryptography;
using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>The promises of every store. A store's own suite derives from this one and says how to open the store.</summary>
public abstract partial class StoreContractTests : IAsyncLifetime
{
    protected const string Queue = "orders";

    protected const string Origin = "https://api.example.com";

    protected static readonly TimeSpan LeaseTime = TimeSpan.FromMinutes(1);

    protected TestClock Clock { get; } = new();

    private protected IQueueStore Store { get; set; } = null!;

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public virtual ValueTask InitializeAsync()
    {
        Store = OpenStore();
        return ValueTask.CompletedTask;
    }

    public virtual async ValueTask DisposeAsync()
    {
        await Store.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected abstract IQueueStore OpenStore();

    private protected NewEntry Entry(string path = "/a", string lane = "", string origin = Origin, string queue = Queue) => new()
    {
        Queue = queue,
        Lane = lane,
        Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = new Uri(origin + path) },
        Timestamp = Clock.GetUtcNow(),
    };

    private protected async Task<LeasedEntry> LeaseOneAsync(string queue = Queue, string origin = Origin) =>
        Assert.Single(await Store.LeaseAsync(queue, origin, 1, LeaseTime, Cancellation));

    protected async Task<List<QueuedEntry>> ReadAllAsync(string queue = Queue) =>
        await Store.ReadAsync(queue, QueueEnd.Front, Cancellation).ToListAsync(Cancellation);

    protected async Task<List<DeadLetter>> ReadDeadAsync(string queue = Queue) =>
        await Store.ReadDeadLettersAsync(queue, Cancellation).ToListAsync(Cancellation);

    protected async Task<byte[]?> ReadBodyAsync(long id)
    {
        await using var body = await Store.OpenBodyAsync(Queue, id, Cancellation);
        if (body is null)
        {
            return null;
        }

        using var bytes = new MemoryStream();
        await body.CopyToAsync(bytes, Cancellation);
        return bytes.ToArray();
    }

    private protected async Task<long> AddAsync(NewEntry entry) => (await Store.AddAsync(entry, Cancellation)).Id;

    private protected async Task<long> AddStreamedAsync(NewEntry entry, byte[] body, int chunk)
    {
        await using var writer = await Store.BeginBodyAsync(Cancellation);
        foreach (var part in body.Chunk(chunk))
        {
            await writer.WriteAsync(part, Cancellation);
        }

        return await AddAsync(entry with { Body = EntryBody.FromWriter(writer) });
    }

    [Fact]
    public async Task What_was_added_is_read_back_field_by_field()
    {
        var added = new NewEntry
        {
            Queue = Queue,
            Lane = "/albums/é",
            Priority = EntryPriority.Low,
            Request = new RequestSnapshot
            {
                Method = HttpMethod.Put,
                Uri = new Uri("https://api.example.com:8443/a%20b?q=1&q=ü#top"),
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionOrHigher,
                Headers = [new("X-Many", "1"), new("Accept", "a/b"), new("X-Many", "2 \"quoted\" <é>")],
                ContentHeaders = [new("Content-Type", "text/plain; charset=utf-8")],
            },
            Body = EntryBody.FromBytes("hello"u8.ToArray()),
            Timestamp = Clock.GetUtcNow() - TimeSpan.FromSeconds(5),
            ExpiresAt = Clock.GetUtcNow() + TimeSpan.FromDays(1),
            Attempts = 2,
            LastError = "timed out",
            Metadata = new Dictionary<string, string> { ["kind"] = "photo", ["näme"] = "\"x\"" },
            TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        };

        var id = await AddAsync(added);

        var read = Assert.Single(await ReadAllAsync());
        Assert.Equal(id, read.Id);
        Assert.Equal(Queue, read.Queue);
        Assert.Equal(added.Lane, read.Lane);
        Assert.Equal(EntryPriority.Low, read.Priority);
        Assert.Equal(added.Request.Method, read.Request.Method);
        Assert.Equal(added.Request.Uri.OriginalString, read.Request.Uri.OriginalString);
        Assert.Equal(added.Request.Version, read.Request.Version);
        Assert.Equal(added.Request.VersionPolicy, read.Request.VersionPolicy);
        Assert.Equal(added.Request.Headers, read.Request.Headers);
        Assert.Equal(added.Request.ContentHeaders, read.Request.ContentHeaders);
        Assert.Equal(5, read.BodyLength);
        Assert.Equal(added.Timestamp, read.Timestamp);
        Assert.Equal(added.ExpiresAt, read.ExpiresAt);
        Assert.Equal(added.Metadata, read.Metadata);
        Assert.Equal(added.TraceParent, read.TraceParent);
        Assert.Equal(2, read.Attempts);
        Assert.Equal("timed out", read.LastError);
        Assert.Equal(Clock.GetUtcNow(), read.DueAt);
        Assert.False(read.IsLeased);
        Assert.Equal("hello"u8.ToArray(), await ReadBodyAsync(id));
    }

    [Fact]
    public async Task What_was_left_out_is_read_back_as_left_out()
    {
        var id = await AddAsync(Entry());

        var read = Assert.Single(await ReadAllAsync());

        Assert.Equal(HttpVersion.Version11, read.Request.Version);
        Assert.Equal(HttpVersionPolicy.RequestVersionOrLower, read.Request.VersionPolicy);
        Assert.Empty(read.Request.Headers);
        Assert.Null(read.Request.ContentHeaders);
        Assert.Empty(read.Metadata);
        Assert.Equal(EntryPriority.Normal, read.Priority);
        Assert.Null(read.TraceParent);
        Assert.Null(read.LastError);
        Assert.Equal(DateTimeOffset.MaxValue, read.ExpiresAt);
        Assert.Empty((await ReadBodyAsync(id))!);
    }

    [Fact]
    public async Task Content_without_headers_is_told_from_no_content()
    {
        var request = new RequestSnapshot { Method = HttpMethod.Post, Uri = new Uri(Origin), ContentHeaders = [] };

        await Store.AddAsync(Entry() with { Request = request }, Cancellation);

        Assert.Equal([], Assert.Single(await ReadAllAsync()).Request.ContentHeaders);
    }

    [Fact]
    public async Task A_lane_is_leased_in_the_order_queued_one_at_a_time()
    {
        long[] ids = [await AddAsync(Entry("/1")), await AddAsync(Entry("/2")), await AddAsync(Entry("/3"))];

        foreach (var id in ids)
        {
            var leased = Assert.Single(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
            Assert.Equal(id, leased.Lease.EntryId);
            Assert.True(leased.IsReadable);
            Assert.Equal(id, leased.Entry.Id);
            Assert.True(leased.Entry.IsLeased);
            Assert.Equal(Clock.GetUtcNow() + LeaseTime, leased.Entry.DueAt);
            Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
            Assert.True(await Store.CompleteAsync(leased.Lease, null, Cancellation));
        }

        Assert.Empty(await ReadAllAsync());
    }

    [Fact]
    public async Task Lanes_are_leased_side_by_side_the_longest_due_first()
    {
        await Store.AddAsync(Entry("/b", "b"), Cancellation);
        Clock.Advance(TimeSpan.FromSeconds(1));
        await Store.AddAsync(Entry("/a", "a"), Cancellation);
        Clock.Advance(TimeSpan.FromSeconds(1));
        await Store.AddAsync(Entry("/c", "c"), Cancellation);

        var first = await Store.LeaseAsync(Queue, Origin, 2, LeaseTime, Cancellation);
        var rest = await Store.LeaseAsync(Queue, Origin, 2, LeaseTime, Cancellation);

        Assert.Equal(["b", "a"], first.Select(leased => leased.Entry!.Lane));
        Assert.Equal(["c"], rest.Select(leased => leased.Entry!.Lane));
    }

    [Fact]
    public async Task Queues_and_origins_are_leased_apart()
    {
        await Store.AddAsync(Entry("/1", "x", "https://one.example"), Cancellation);
        await Store.AddAsync(Entry("/2", "y", "https://two.example:444"), Cancellation);
        await Store.AddAsync(Entry("/3", "x", "https://one.example", "other"), Cancellation);

        Assert.Equal("/2", (await LeaseOneAsync(origin: "https://two.example:444")).Entry!.Request.Uri.AbsolutePath);
        Assert.Equal("/3", (await LeaseOneAsync("other", "https://one.example")).Entry!.Request.Uri.AbsolutePath);
        Assert.Equal("/1", (await LeaseOneAsync(origin: "https://one.example")).Entry!.Request.Uri.AbsolutePath);
        Assert.Empty(await Store.LeaseAsync(Queue, "https://one.example", 10, LeaseTime, Cancellation));
    }

    [Fact]
    public async Task A_lane_of_several_origins_is_leased_by_the_origin_of_its_head()
    {
        await Store.AddAsync(Entry("/1", origin: "https://one.example"), Cancellation);
        await Store.AddAsync(Entry("/2", origin: "https://two.example"), Cancellation);

        Assert.Empty(await Store.LeaseAsync(Queue, "https://two.example", 1, LeaseTime, Cancellation));
        var first = await LeaseOneAsync(origin: "https://one.example");
        await Store.CompleteAsync(first.Lease, null, Cancellation);

        Assert.Equal("https://two.example", Assert.Single(await Store.GetScheduleAsync(Queue, Cancellation)).Origin);
        Assert.NotNull((await LeaseOneAsync(origin: "https://two.example")).Entry);
    }

    [Fact]
    public async Task An_entry_added_in_front_goes_first()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/2"), Cancellation);
        await Store.AddAsync(Entry("/0") with { End = QueueEnd.Front }, Cancellation);
        await Store.AddAsync(Entry("/-1") with { End = QueueEnd.Front }, Cancellation);

        Assert.Equal(["/-1", "/0", "/1", "/2"], (await ReadAllAsync()).Select(entry => entry.Request.Uri.AbsolutePath));
        await AssertDrainsAsync("/-1", "/0", "/1", "/2");
    }

    [Fact]
    public async Task An_entry_added_in_front_of_a_head_that_waits_does_not_cost_it_its_attempts()
    {
        await Store.AddAsync(Entry("/1") with { Attempts = 1 }, Cancellation);
        await Store.SettleAsync(
            (await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.FromMinutes(5), CountsAsAttempt: true, "HTTP 503"), Cancellation);
        await Store.AddAsync(Entry("/0") with { End = QueueEnd.Front }, Cancellation);

        var front = await LeaseOneAsync();
        Assert.Equal("/0", front.Entry!.Request.Uri.AbsolutePath);
        Assert.Equal(0, front.Entry.Attempts);
        await Store.CompleteAsync(front.Lease, null, Cancellation);

        var displaced = (await LeaseOneAsync()).Entry!;
        Assert.Equal("/1", displaced.Request.Uri.AbsolutePath);
        Assert.Equal(2, displaced.Attempts);
        Assert.Equal("HTTP 503", displaced.LastError);
    }

    [Fact]
    public async Task A_wait_asked_for_by_the_server_is_kept_behind_an_entry_added_in_front()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.SettleAsync(
            (await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.FromMinutes(5), true, RequestedDelay: true), Cancellation);
        await Store.AddAsync(Entry("/0") with { End = QueueEnd.Front }, Cancellation);

        await Store.CompleteAsync((await LeaseOneAsync()).Lease, null, Cancellation);

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Assert.Equal(0, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal("/1", (await LeaseOneAsync()).Entry!.Request.Uri.AbsolutePath);
    }

    [Fact]
    public async Task An_entry_added_in_front_of_one_being_sent_waits_for_it()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        var sending = await LeaseOneAsync();
        await Store.AddAsync(Entry("/0") with { End = QueueEnd.Front }, Cancellation);

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Assert.True(await Store.SettleAsync(
            sending.Lease, new Settlement.Retry(TimeSpan.FromSeconds(1), CountsAsAttempt: true, "HTTP 500"), Cancellation));

        await AssertDrainsAsync("/0", "/1");
    }

    [Fact]
    public async Task The_more_urgent_of_a_lane_go_first_and_equals_in_the_order_queued()
    {
        await AddAsync("/n1");
        await AddAsync("/l1", EntryPriority.Low);
        await AddAsync("/h1", EntryPriority.High);
        await AddAsync("/n2");
        await AddAsync("/l2", EntryPriority.Low);
        await AddAsync("/h2", EntryPriority.High);

        string[] ordered = ["/h1", "/h2", "/n1", "/n2", "/l1", "/l2"];
        Assert.Equal(ordered, (await ReadAllAsync()).Select(entry => entry.Request.Uri.AbsolutePath));
        Assert.Equal(
            ordered.Reverse(),
            await Store.ReadAsync(Queue, QueueEnd.Back, Cancellation)
                .Select(entry => entry.Request.Uri.AbsolutePath)
                .ToListAsync(Cancellation));
        await AssertDrainsAsync(ordered);
        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task An_entry_added_in_front_goes_before_those_of_its_own_priority()
    {
        await AddAsync("/l1", EntryPriority.Low);
        await AddAsync("/n1");
        await AddAsync("/h1", EntryPriority.High);
        await Store.AddAsync(Entry("/l0") with { Priority = EntryPriority.Low, End = QueueEnd.Front }, Cancellation);
        await Store.AddAsync(Entry("/n0") with { End = QueueEnd.Front }, Cancellation);
        await Store.AddAsync(Entry("/h0") with { Priority = EntryPriority.High, End = QueueEnd.Front }, Cancellation);

        await AssertDrainsAsync("/h0", "/h1", "/n0", "/n1", "/l0", "/l1");
    }

    [Theory]
    [InlineData(EntryPriority.Low, EntryPriority.Normal)]
    [InlineData(EntryPriority.Normal, EntryPriority.High)]
    public async Task A_more_urgent_entry_goes_before_a_head_that_waits_for_its_backoff_and_does_not_cost_it_its_attempts(
        EntryPriority waiting, EntryPriority urgent)
    {
        await AddAsync("/1", waiting);
        await Store.SettleAsync(
            (await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.FromMinutes(5), true, "HTTP 503"), Cancellation);
        await AddAsync("/2", urgent);

        Assert.Equal(Clock.GetUtcNow(), Assert.Single(await Store.GetScheduleAsync(Queue, Cancellation)).DueAt);
        var first = await LeaseOneAsync();
        Assert.Equal(("/2", 0, urgent), (first.Entry!.Request.Uri.AbsolutePath, first.Entry.Attempts, first.Entry.Priority));
        await Store.CompleteAsync(first.Lease, null, Cancellation);

        // As the next of any lane, it is due at once.
        var displaced = (await LeaseOneAsync()).Entry!;
        Assert.Equal(("/1", 1, "HTTP 503"), (displaced.Request.Uri.AbsolutePath, displaced.Attempts, displaced.LastError));
    }

    [Fact]
    public async Task An_urgent_entry_goes_before_a_head_that_the_server_asked_to_wait_and_leaves_it_its_wait()
    {
        await AddAsync("/1");
        await Store.SettleAsync(
            (await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.FromMinutes(5), true, RequestedDelay: true), Cancellation);
        await AddAsync("/2", EntryPriority.High);

        await AssertDrainsAsync("/2");
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromMinutes(5));
        await AssertDrainsAsync("/1");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_urgent_entry_waits_for_the_one_being_sent_and_for_no_other(bool isDelivered)
    {
        await AddAsync("/1");
        await AddAsync("/2");
        var sending = (await LeaseOneAsync()).Lease;
        await AddAsync("/3", EntryPriority.High);

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Assert.True(isDelivered
            ? await Store.CompleteAsync(sending, null, Cancellation)
            : await Store.SettleAsync(sending, new Settlement.Retry(TimeSpan.FromMinutes(5), true), Cancellation));

        await AssertDrainsAsync(isDelivered ? ["/3", "/2"] : ["/3", "/1", "/2"]);
    }

    [Fact]
    public async Task An_urgent_entry_goes_before_one_whose_lease_ran_out()
    {
        await AddAsync("/1");
        var lost = (await LeaseOneAsync()).Lease;
        Clock.Advance(LeaseTime);
        await AddAsync("/2", EntryPriority.High);

        Assert.False(await Store.CompleteAsync(lost, null, Cancellation));
        await AssertDrainsAsync("/2");
        Assert.Equal(1, (await LeaseOneAsync()).Entry!.Attempts);
    }

    [Fact]
    public async Task An_urgent_entry_that_fails_has_its_lane_wait_as_any_other()
    {
        await AddAsync("/1");
        await AddAsync("/2", EntryPriority.High);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.FromSeconds(3), true), Cancellation);
        await AddAsync("/3", EntryPriority.High);

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(3));
        await AssertDrainsAsync("/2", "/3", "/1");
    }

    [Fact]
    public async Task Of_the_lanes_that_are_due_those_with_an_urgent_head_are_leased_first()
    {
        foreach (var (lane, priority) in ((string, EntryPriority)[])
            [("l", EntryPriority.Low), ("n1", EntryPriority.Normal), ("n2", EntryPriority.Normal), ("h", EntryPriority.High)])
        {
            await Store.AddAsync(Entry("/" + lane, lane) with { Priority = priority }, Cancellation);
            Clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(["h", "n1"], await LeaseLanesAsync(2));
        Assert.Equal(["n2", "l"], await LeaseLanesAsync(10));

        async Task<IEnumerable<string>> LeaseLanesAsync(int limit) =>
            (await Store.LeaseAsync(Queue, Origin, limit, LeaseTime, Cancellation)).Select(leased => leased.Entry!.Lane);
    }

    [Fact]
    public async Task A_dead_letter_keeps_its_priority_and_is_put_back_behind_its_equals()
    {
        var id = await AddAsync("/h1", EntryPriority.High);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        await AddAsync("/n1");
        await AddAsync("/h2", EntryPriority.High);
        Assert.Equal(EntryPriority.High, Assert.Single(await ReadDeadAsync()).Entry!.Priority);

        Assert.True(await Store.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation));

        await AssertDrainsAsync("/h2", "/h1", "/n1");
    }

    [Fact]
    public async Task An_urgent_dead_letter_is_put_back_before_what_waits_in_its_lane()
    {
        var id = await AddAsync("/h", EntryPriority.High);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        await Store.AddAsync(Entry("/n") with { Delay = TimeSpan.FromHours(1) }, Cancellation);

        await Store.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation);

        await AssertDrainsAsync("/h", "/n");
    }

    [Fact]
    public async Task An_edited_entry_keeps_its_priority_in_another_lane_too()
    {
        await Store.AddAsync(Entry("/1", "b"), Cancellation);
        await Store.AddAsync(Entry("/2", "b") with { Priority = EntryPriority.High }, Cancellation);
        var id = await AddAsync(Entry("/3", "a") with { Priority = EntryPriority.High });

        await MoveAsync(id, "b");

        Assert.Equal(EntryPriority.High, (await Store.FindAsync(Queue, id, Cancellation))!.Priority);
        await AssertDrainsAsync("/2", "/3", "/1");
    }

    [Fact]
    public void There_are_no_priorities_but_those_named() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => Entry() with { Priority = (EntryPriority)2 });

    [Fact]
    public async Task A_delay_holds_the_head_that_it_was_added_with()
    {
        await Store.AddAsync(
            Entry("/1") with { Delay = TimeSpan.FromSeconds(10), Attempts = 1, LastError = "refused" }, Cancellation);

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(10) - TimeSpan.FromMilliseconds(1));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromMilliseconds(1));

        var leased = await LeaseOneAsync();
        Assert.Equal(1, leased.Entry!.Attempts);
        Assert.Equal("refused", leased.Entry.LastError);
    }

    [Fact]
    public async Task The_next_of_a_lane_is_due_at_once_unless_the_server_asked_it_to_wait()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/2") with { Delay = TimeSpan.FromHours(1) }, Cancellation);
        await Store.AddAsync(Entry("/3") with { Delay = TimeSpan.FromHours(1), RequestedDelay = true }, Cancellation);

        await AssertDrainsAsync("/1", "/2");
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));

        Clock.Advance(TimeSpan.FromHours(1));
        await AssertDrainsAsync("/3");
    }

    [Fact]
    public async Task A_rescheduled_entry_stays_the_head_and_waits()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/2"), Cancellation);
        var lease = (await LeaseOneAsync()).Lease;

        Assert.True(await Store.SettleAsync(lease, new Settlement.Retry(TimeSpan.FromSeconds(3), true, "HTTP 503"), Cancellation));

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        var head = (await ReadAllAsync())[0];
        Assert.Equal(1, head.Attempts);
        Assert.Equal("HTTP 503", head.LastError);
        Assert.Equal(Clock.GetUtcNow() + TimeSpan.FromSeconds(3), head.DueAt);
        Assert.False(head.IsLeased);
        Clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal("/1", (await LeaseOneAsync()).Entry!.Request.Uri.AbsolutePath);
    }

    [Fact]
    public async Task Being_offline_costs_no_attempt_and_keeps_the_last_error()
    {
        await Store.AddAsync(Entry() with { Attempts = 3, LastError = "HTTP 500" }, Cancellation);

        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: false), Cancellation);

        var entry = (await LeaseOneAsync()).Entry!;
        Assert.Equal(3, entry.Attempts);
        Assert.Equal("HTTP 500", entry.LastError);
    }

    [Fact]
    public async Task Backoff_is_cleared_and_a_wait_asked_for_by_the_server_is_not()
    {
        await Store.AddAsync(Entry("/1", "backoff"), Cancellation);
        await Store.AddAsync(Entry("/2", "server"), Cancellation);
        await Store.AddAsync(Entry("/3", "leased"), Cancellation);
        await Store.AddAsync(Entry("/4", "added") with { Delay = TimeSpan.FromHours(1) }, Cancellation);
        await Store.AddAsync(Entry("/5", "other", queue: "other") with { Delay = TimeSpan.FromHours(1) }, Cancellation);
        foreach (var leased in await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation))
        {
            if (leased.Entry!.Lane != "leased")
            {
                var retry = new Settlement.Retry(TimeSpan.FromHours(1), true, RequestedDelay: leased.Entry.Lane == "server");
                await Store.SettleAsync(leased.Lease, retry, Cancellation);
            }
        }

        Assert.Equal(2, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));
        Assert.Equal(0, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));

        var due = await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation);
        Assert.Equal(["added", "backoff"], due.Select(leased => leased.Entry!.Lane).Order());
    }

    [Fact]
    public async Task A_wait_without_end_ends_when_it_is_cleared_and_no_other_with_it()
    {
        await Store.AddAsync(Entry("/1", "endless") with { Delay = TimeSpan.MaxValue, Attempts = 1 }, Cancellation);
        await Store.AddAsync(Entry("/2", "retried"), Cancellation);
        await Store.AddAsync(Entry("/3", "backoff") with { Delay = TimeSpan.FromHours(1) }, Cancellation);
        await Store.AddAsync(Entry("/4", "endless", queue: "other") with { Delay = TimeSpan.MaxValue }, Cancellation);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.Retry(TimeSpan.MaxValue, true), Cancellation);

        Assert.Equal(
            [DateTimeOffset.MaxValue, DateTimeOffset.MaxValue, Clock.GetUtcNow().AddHours(1)],
            (await ReadAllAsync()).Select(entry => entry.DueAt));
        Clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Equal(2, await Store.ClearBackoffAsync(Queue, onlyEndless: true, Cancellation));
        Assert.Equal(0, await Store.ClearBackoffAsync(Queue, onlyEndless: true, Cancellation));

        var due = await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation);
        Assert.Equal(["endless", "retried"], due.Select(leased => leased.Entry!.Lane).Order());
        Assert.Equal(DateTimeOffset.MaxValue, Assert.Single(await Store.GetScheduleAsync("other", Cancellation)).DueAt);
    }

    [Fact]
    public async Task A_wait_without_end_is_a_backoff_like_any_other()
    {
        await Store.AddAsync(Entry() with { Delay = TimeSpan.MaxValue }, Cancellation);
        Clock.Advance(TimeSpan.FromDays(1000));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));

        Assert.Equal(1, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));

        await LeaseOneAsync();
    }

    [Fact]
    public async Task The_head_of_one_lane_is_leased_although_it_waits_for_its_backoff()
    {
        await Store.AddAsync(Entry("/1", "a") with { Delay = TimeSpan.FromHours(1) }, Cancellation);
        await Store.AddAsync(Entry("/2", "a"), Cancellation);
        await Store.AddAsync(Entry("/3", "b"), Cancellation);

        var leased = await Store.LeaseLaneAsync(Queue, "a", LeaseTime, Cancellation);

        Assert.Equal("/1", leased!.Entry!.Request.Uri.AbsolutePath);
        Assert.True(leased.Entry.IsLeased);
        Assert.Null(await Store.LeaseLaneAsync(Queue, "a", LeaseTime, Cancellation));
        Assert.True(await Store.SettleAsync(leased.Lease, new Settlement.Retry(TimeSpan.FromHours(1), true), Cancellation));
        leased = await Store.LeaseLaneAsync(Queue, "a", LeaseTime, Cancellation);
        Assert.Equal(1, leased!.Entry!.Attempts);
        Assert.True(await Store.CompleteAsync(leased.Lease, null, Cancellation));
        Assert.Equal("/2", (await Store.LeaseLaneAsync(Queue, "a", LeaseTime, Cancellation))!.Entry!.Request.Uri.AbsolutePath);
    }

    [Fact]
    public async Task The_head_of_one_lane_is_not_leased_while_it_waits_as_it_was_asked_to()
    {
        await Store.AddAsync(Entry(lane: "a") with { Delay = TimeSpan.FromHours(1), RequestedDelay = true }, Cancellation);

        Assert.Null(await Store.LeaseLaneAsync(Queue, "a", LeaseTime, Cancellation));
        Assert.Null(await Store.LeaseLaneAsync(Queue, "empty", LeaseTime, Cancellation));
        Assert.Null(await Store.LeaseLaneAsync("other", "a", LeaseTime, Cancellation));

        Clock.Advance(TimeSpan.FromHours(1));
        Assert.NotNull(await Store.LeaseLaneAsync(Queue, "a", LeaseTime, Cancellation));
    }

    [Fact]
    public async Task A_lane_has_entries_until_the_last_one_leaves_it()
    {
        await Store.AddAsync(Entry(lane: "a"), Cancellation);

        Assert.True(await Store.HasEntriesAsync(Queue, "a", Cancellation));
        Assert.False(await Store.HasEntriesAsync(Queue, "b", Cancellation));
        Assert.False(await Store.HasEntriesAsync("other", "a", Cancellation));
        var lease = (await LeaseOneAsync()).Lease;
        Assert.True(await Store.HasEntriesAsync(Queue, "a", Cancellation));
        await Store.CompleteAsync(lease, null, Cancellation);
        Assert.False(await Store.HasEntriesAsync(Queue, "a", Cancellation));
    }

    [Fact]
    public async Task The_schedule_tells_for_each_origin_when_its_first_lane_is_due()
    {
        var now = Clock.GetUtcNow();
        await Store.AddAsync(Entry("/1", "1", "https://a.example") with { Delay = TimeSpan.FromSeconds(9) }, Cancellation);
        await Store.AddAsync(Entry("/2", "2", "https://a.example") with { Delay = TimeSpan.FromSeconds(5) }, Cancellation);
        await Store.AddAsync(Entry("/3", "2", "https://hidden.example"), Cancellation);
        await Store.AddAsync(Entry("/4", "4", "https://b.example"), Cancellation);
        await Store.AddAsync(Entry("/5", "5", "http://b.example:8080", "other"), Cancellation);

        Assert.Equal(
            [new("https://a.example", now + TimeSpan.FromSeconds(5)), new OriginSchedule("https://b.example", now)],
            (await Store.GetScheduleAsync(Queue, Cancellation)).OrderBy(schedule => schedule.Origin));

        await LeaseOneAsync(origin: "https://b.example");
        Assert.Contains(new("https://b.example", now + LeaseTime), await Store.GetScheduleAsync(Queue, Cancellation));
        Assert.Empty(await Store.GetScheduleAsync("empty", Cancellation));
    }

    [Fact]
    public async Task A_lost_lease_changes_nothing()
    {
        var id = await AddAsync(Entry());
        var lost = (await LeaseOneAsync()).Lease;
        Clock.Advance(LeaseTime);
        var current = (await LeaseOneAsync()).Lease;

        Assert.NotEqual(lost.Token, current.Token);
        Assert.False(await Store.RenewAsync(lost, LeaseTime, Cancellation));
        Assert.False(await Store.CompleteAsync(lost, null, Cancellation));
        Assert.False(await Store.SettleAsync(lost, new Settlement.Retry(TimeSpan.FromDays(1), true), Cancellation));
        Assert.False(await Store.SettleAsync(lost, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation));
        Assert.False(await Store.CompleteAsync(new Lease(id + 1, current.Token), null, Cancellation));

        var entry = Assert.Single(await ReadAllAsync());
        Assert.True(entry.IsLeased);
        Assert.Equal(Clock.GetUtcNow() + LeaseTime, entry.DueAt);
        Assert.Empty(await ReadDeadAsync());
        Assert.True(await Store.CompleteAsync(current, null, Cancellation));
        Assert.False(await Store.CompleteAsync(current, null, Cancellation));
    }

    [Fact]
    public async Task A_lease_that_ran_out_counts_as_an_attempt_when_the_entry_is_leased_again()
    {
        await Store.AddAsync(Entry(), Cancellation);
        await LeaseOneAsync();
        Clock.Advance(LeaseTime);

        Assert.False(Assert.Single(await ReadAllAsync()).IsLeased);
        Assert.Equal(1, (await LeaseOneAsync()).Entry!.Attempts);
    }

    [Fact]
    public async Task A_delivery_is_told_late_as_long_as_nobody_else_took_the_entry()
    {
        await Store.AddAsync(Entry(), Cancellation);
        var lease = (await LeaseOneAsync()).Lease;
        Clock.Advance(LeaseTime * 2);

        Assert.True(await Store.CompleteAsync(lease, null, Cancellation));
        Assert.Empty(await ReadAllAsync());
    }

    [Fact]
    public async Task A_renewed_lease_lasts_from_now_on()
    {
        await Store.AddAsync(Entry(), Cancellation);
        var lease = (await LeaseOneAsync()).Lease;
        Clock.Advance(LeaseTime / 2);

        Assert.True(await Store.RenewAsync(lease, LeaseTime, Cancellation));

        Clock.Advance(LeaseTime - TimeSpan.FromMilliseconds(1));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.NotEqual(lease.Token, (await LeaseOneAsync()).Lease.Token);
    }

    [Fact]
    public async Task A_dead_letter_keeps_its_body_and_the_lane_goes_on()
    {
        var body = RandomNumberGenerator.GetBytes(70_000);
        var id = await AddStreamedAsync(Entry("/1") with { Attempts = 4, LastError = "earlier" }, body, 30_000);
        await Store.AddAsync(Entry("/2"), Cancellation);

        Assert.True(await Store.SettleAsync(
            (await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, "HTTP 422", 422), Cancellation));

        var letter = Assert.Single(await ReadDeadAsync());
        Assert.Equal(id, letter.Id);
        Assert.Equal(Queue, letter.Queue);
        Assert.Equal(DeadLetterCause.Rejected, letter.Cause);
        Assert.Equal("HTTP 422", letter.Error);
        Assert.Equal(422, letter.StatusCode);
        Assert.Equal(Clock.GetUtcNow(), letter.DeadLetteredAt);
        Assert.Equal("/1", letter.Entry!.Request.Uri.AbsolutePath);
        Assert.Equal(4, letter.Entry.Attempts);
        Assert.Equal("earlier", letter.Entry.LastError);
        Assert.Null(letter.Entry.DueAt);
        Assert.Equal(body, await ReadBodyAsync(id));
        Assert.Equal(new QueueCounts(1, 1, 0), await Store.CountAsync(Queue, Cancellation));
        Assert.Equal("/2", (await LeaseOneAsync()).Entry!.Request.Uri.AbsolutePath);
    }

    [Fact]
    public async Task Dead_letters_are_read_in_the_order_of_dying()
    {
        for (var i = 0; i < 3; i++)
        {
            await Store.AddAsync(Entry("/" + i, "lane" + i), Cancellation);
        }

        var leased = await Store.LeaseAsync(Queue, Origin, 3, LeaseTime, Cancellation);
        foreach (var lane in (string[])["lane2", "lane0", "lane1"])
        {
            var lease = leased.Single(candidate => candidate.Entry!.Lane == lane).Lease;
            await Store.SettleAsync(lease, new Settlement.DeadLettered(DeadLetterCause.Exhausted), Cancellation);
        }

        Assert.Equal(["lane2", "lane0", "lane1"], (await ReadDeadAsync()).Select(letter => letter.Entry!.Lane));
    }

    [Fact]
    public async Task Entries_expire_oldest_first_and_leased_ones_do_not()
    {
        var now = Clock.GetUtcNow();
        await Store.AddAsync(Entry("/leased", "leased") with { ExpiresAt = now + TimeSpan.FromSeconds(1) }, Cancellation);
        await LeaseOneAsync();
        await Store.AddAsync(Entry("/head") with { ExpiresAt = now + TimeSpan.FromSeconds(3) }, Cancellation);
        await Store.AddAsync(Entry("/next"), Cancellation);
        await Store.AddAsync(Entry("/second") with { ExpiresAt = now + TimeSpan.FromSeconds(2) }, Cancellation);

        Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Empty(await Store.ExpireAsync(Queue, 10, keep: true, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(5));
        var first = await Store.ExpireAsync(Queue, 1, keep: true, Cancellation);
        var rest = await Store.ExpireAsync(Queue, 10, keep: true, Cancellation);

        Assert.Equal(["/second"], first.Select(letter => letter.Entry!.Request.Uri.AbsolutePath));
        Assert.Equal(["/head"], rest.Select(letter => letter.Entry!.Request.Uri.AbsolutePath));
        Assert.All(first.Concat(rest), letter => Assert.Equal(DeadLetterCause.Expired, letter.Cause));
        Assert.Equal(["/second", "/head"], (await ReadDeadAsync()).Select(letter => letter.Entry!.Request.Uri.AbsolutePath));
        Assert.Equal("/next", (await LeaseOneAsync()).Entry!.Request.Uri.AbsolutePath);
        Assert.Equal(new QueueCounts(2, 2, 0, Expired: 1), await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task Neighbours_of_one_lane_expire_together()
    {
        var soon = Clock.GetUtcNow() + TimeSpan.FromSeconds(1);
        await Store.AddAsync(Entry("/1") with { ExpiresAt = soon }, Cancellation);
        await Store.AddAsync(Entry("/2") with { ExpiresAt = soon }, Cancellation);
        await Store.AddAsync(Entry("/3"), Cancellation);
        Clock.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(2, (await Store.ExpireAsync(Queue, 10, keep: true, Cancellation)).Count);

        await AssertDrainsAsync("/3");
        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task A_head_whose_lease_ran_out_may_expire()
    {
        await Store.AddAsync(Entry() with { ExpiresAt = Clock.GetUtcNow() }, Cancellation);
        var lease = (await LeaseOneAsync()).Lease;
        Clock.Advance(LeaseTime);

        Assert.Equal(1, Assert.Single(await Store.ExpireAsync(Queue, 10, keep: true, Cancellation)).Entry!.Attempts);
        Assert.False(await Store.CompleteAsync(lease, null, Cancellation));
    }

    [Fact]
    public async Task A_dead_letter_is_put_back_at_the_end_of_its_lane()
    {
        var body = RandomNumberGenerator.GetBytes(5000);
        var id = await AddStreamedAsync(Entry("/1", "lane") with { Attempts = 9, LastError = "x" }, body, 5000);
        await Store.AddAsync(Entry("/2", "lane"), Cancellation);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        var expiresAt = Clock.GetUtcNow() + TimeSpan.FromDays(2);

        Assert.False(await Store.RequeueAsync("other", id, expiresAt, Cancellation));
        Assert.False(await Store.RequeueAsync(Queue, id + 1, expiresAt, Cancellation));
        Assert.True(await Store.RequeueAsync(Queue, id, expiresAt, Cancellation));
        Assert.False(await Store.RequeueAsync(Queue, id, expiresAt, Cancellation));

        Assert.Empty(await ReadDeadAsync());
        var entries = await ReadAllAsync();
        Assert.Equal(["/2", "/1"], entries.Select(entry => entry.Request.Uri.AbsolutePath));
        Assert.Equal(id, entries[1].Id);
        Assert.Equal(0, entries[1].Attempts);
        Assert.Null(entries[1].LastError);
        Assert.Equal(expiresAt, entries[1].ExpiresAt);
        Assert.Equal(body, await ReadBodyAsync(id));
        Assert.Equal(new QueueCounts(2, 0, 5000), await Store.CountAsync(Queue, Cancellation));
        await AssertDrainsAsync("/2", "/1");
    }

    [Fact]
    public async Task The_failed_attempts_at_an_entry_are_read_back_in_order()
    {
        var start = Clock.GetUtcNow();
        var id = await AddAsync(Entry() with { Attempts = 1, LastError = "refused", LastStatusCode = 503 });
        await FailAsync("HTTP 500", 500);
        await FailAsync("reset");

        FailedAttempt[] expected =
        [
            new(start, 503, "refused"),
            new(start + TimeSpan.FromSeconds(1), 500, "HTTP 500"),
            new(start + TimeSpan.FromSeconds(2), null, "reset"),
        ];
        Assert.Equal(expected, await Store.GetHistoryAsync(Queue, id, Cancellation));
        Assert.Empty(await Store.GetHistoryAsync("other", id, Cancellation));
        Assert.Empty(await Store.GetHistoryAsync(Queue, id + 1, Cancellation));
    }

    [Fact]
    public async Task What_the_server_has_neither_answered_nor_may_have_seen_is_not_in_the_history()
    {
        var id = await AddAsync(Entry() with { LastError = "offline" });
        Settlement.Retry[] retries =
        [
            new(TimeSpan.Zero, CountsAsAttempt: false, "offline"),
            new(TimeSpan.Zero, CountsAsAttempt: true),
            new(TimeSpan.Zero, CountsAsAttempt: false, "wants credentials", StatusCode: 401),
        ];
        foreach (var retry in retries)
        {
            await Store.SettleAsync((await LeaseOneAsync()).Lease, retry, Cancellation);
        }

        Assert.Equal([new(Clock.GetUtcNow(), 401, "wants credentials")], await Store.GetHistoryAsync(Queue, id, Cancellation));
    }

    [Fact]
    public async Task The_last_20_failed_attempts_are_kept()
    {
        var id = await AddAsync(Entry());
        for (var i = 1; i <= 25; i++)
        {
            await FailAsync($"error {i}");
        }

        Assert.Equal(
            Enumerable.Range(6, 20).Select(i => $"error {i}"),
            (await Store.GetHistoryAsync(Queue, id, Cancellation)).Select(attempt => attempt.Error));
    }

    [Theory]
    [InlineData(DeadLetterCause.Rejected, true)]
    [InlineData(DeadLetterCause.Exhausted, true)]
    [InlineData(DeadLetterCause.MaybeProcessed, true)]
    [InlineData(DeadLetterCause.Expired, false)]
    [InlineData(DeadLetterCause.Unreadable, false)]
    [InlineData(DeadLetterCause.Dropped, false)]
    public async Task A_dead_letter_has_its_history_with_the_attempt_that_ended_it(DeadLetterCause cause, bool isOfAttempt)
    {
        var id = await AddAsync(Entry());
        await FailAsync("HTTP 503", 503);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(cause, "the end", 422), Cancellation);

        FailedAttempt before = new(Clock.GetUtcNow(), 503, "HTTP 503");
        FailedAttempt last = new(Clock.GetUtcNow(), 422, "the end");
        var letter = Assert.Single(await ReadDeadAsync());
        Assert.Equal(isOfAttempt ? [before, last] : [before], letter.History);
        Assert.Equal(letter.History, await Store.GetHistoryAsync(Queue, id, Cancellation));
    }

    [Fact]
    public async Task An_entry_that_expires_has_its_history()
    {
        await Store.AddAsync(Entry() with { ExpiresAt = Clock.GetUtcNow() + TimeSpan.FromSeconds(1) }, Cancellation);
        await FailAsync("HTTP 503", 503);
        Clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(
            [503],
            Assert.Single(await Store.ExpireAsync(Queue, 1, keep: true, Cancellation)).History.Select(attempt => attempt.StatusCode));
    }

    [Fact]
    public async Task Each_of_many_dead_letters_has_its_own_history()
    {
        for (var i = 0; i < 150; i++)
        {
            await Store.AddAsync(Entry() with { Attempts = i % 2, LastError = $"first {i}" }, Cancellation);
            await Store.SettleAsync(
                (await LeaseOneAsync()).Lease,
                new Settlement.DeadLettered(i % 3 == 0 ? DeadLetterCause.Dropped : DeadLetterCause.Rejected, $"last {i}"),
                Cancellation);
        }

        Assert.Equal(
            Enumerable.Range(0, 150).Select(i => string.Join(", ", HistoryOf(i))),
            (await ReadDeadAsync()).Select(letter => string.Join(", ", letter.History.Select(attempt => attempt.Error))));

        static IEnumerable<string> HistoryOf(int i) => (i % 2, i % 3) switch
        {
            (0, 0) => [],
            (1, 0) => [$"first {i}"],
            (0, _) => [$"last {i}"],
            _ => [$"first {i}", $"last {i}"],
        };
    }

    [Fact]
    public async Task A_dead_letter_that_is_put_back_keeps_its_history()
    {
        var id = await AddAsync(Entry());
        await FailAsync("HTTP 503", 503);
        await DeadLetterAsync("first");
        await Store.RequeueAsync(Queue, id, DateTimeOffset.MaxValue, Cancellation);

        Assert.Equal(["HTTP 503", "first"], (await Store.GetHistoryAsync(Queue, id, Cancellation)).Select(attempt => attempt.Error));
        await DeadLetterAsync("second");

        Assert.Equal(["HTTP 503", "first", "second"], Assert.Single(await ReadDeadAsync()).History.Select(attempt => attempt.Error));

        async Task DeadLetterAsync(string error) =>
            await Store.SettleAsync(
                (await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, error), Cancellation);
    }

    [Fact]
    public async Task A_deleted_dead_letter_is_gone_with_its_body()
    {
        var id = await AddStreamedAsync(Entry(), new byte[1000], 1000);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);

        Assert.False(await Store.DeleteDeadLetterAsync("other", id, Cancellation));
        Assert.True(await Store.DeleteDeadLetterAsync(Queue, id, Cancellation));
        Assert.False(await Store.DeleteDeadLetterAsync(Queue, id, Cancellation));

        Assert.Null(await ReadBodyAsync(id));
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
    }

    [Theory]
    [InlineData(0, 10)]
    [InlineData(10, 3)]
    [InlineData(256 * 1024, 256 * 1024)]
    [InlineData(1_000_003, 300_000)]
    public async Task A_streamed_body_is_read_back(int length, int chunk)
    {
        var body = RandomNumberGenerator.GetBytes(length);

        var id = await AddStreamedAsync(Entry(), body, chunk);

        Assert.Equal(length, Assert.Single(await ReadAllAsync()).BodyLength);
        Assert.Equal(body, await ReadBodyAsync(id));
        Assert.Equal(new QueueCounts(1, 0, length), await Store.CountAsync(Queue, Cancellation));
        await Store.CompleteAsync((await LeaseOneAsync()).Lease, null, Cancellation);
        Assert.Null(await ReadBodyAsync(id));
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task A_body_knows_its_length_and_has_one_entry()
    {
        await using var writer = await Store.BeginBodyAsync(Cancellation);
        await writer.WriteAsync(new byte[100], Cancellation);
        await writer.WriteAsync(new byte[23], Cancellation);
        Assert.Equal(123, writer.Length);
        await Store.AddAsync(Entry() with { Body = EntryBody.FromWriter(writer) }, Cancellation);

        await Assert.ThrowsAsync<InvalidOperationException>(
            async () => await Store.AddAsync(Entry() with { Body = EntryBody.FromWriter(writer) }, Cancellation));
        Assert.Equal(new QueueCounts(1, 0, 123), await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task A_body_that_was_disposed_of_cannot_be_named()
    {
        var writer = await Store.BeginBodyAsync(Cancellation);
        await writer.WriteAsync(new byte[100], Cancellation);
        await writer.DisposeAsync();

        await Assert.ThrowsAsync<InvalidOperationException>(
            async () => await Store.AddAsync(Entry() with { Body = EntryBody.FromWriter(writer) }, Cancellation));
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task Counting_tells_live_and_dead_and_the_bytes_of_the_live()
    {
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
        for (var i = 0; i < 4; i++)
        {
            await Store.AddAsync(Entry("/" + i) with { Body = EntryBody.FromBytes(new byte[10 + i]) }, Cancellation);
        }

        await Store.AddAsync(Entry(queue: "other") with { Body = EntryBody.FromBytes(new byte[99]) }, Cancellation);
        Assert.Equal(new QueueCounts(4, 0, 46), await Store.CountAsync(Queue, Cancellation));

        await Store.CompleteAsync((await LeaseOneAsync()).Lease, null, Cancellation);
        await Store.SettleAsync((await LeaseOneAsync()).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);

        Assert.Equal(new QueueCounts(2, 1, 25), await Store.CountAsync(Queue, Cancellation));
        Assert.Equal(new QueueCounts(1, 0, 99), await Store.CountAsync("other", Cancellation));
    }

    [Fact]
    public async Task Ids_are_never_given_twice()
    {
        var first = await AddAsync(Entry());
        await Store.CompleteAsync((await LeaseOneAsync()).Lease, null, Cancellation);

        Assert.True(await AddAsync(Entry(queue: "other")) > first);
    }

    [Fact]
    public async Task A_pause_says_who_and_why_and_since_when_until_it_is_lifted()
    {
        Assert.Null(await Store.GetPauseAsync(Queue, Cancellation));
        var pause = new QueuePause(PauseCause.Credentials, "401 from the server", Clock.GetUtcNow());

        await Store.SetPauseAsync(Queue, pause, Cancellation);
        Assert.Equal(pause, await Store.GetPauseAsync(Queue, Cancellation));
        Assert.Null(await Store.GetPauseAsync("other", Cancellation));

        await Store.SetPauseAsync(Queue, pause with { Cause = PauseCause.Application }, Cancellation);
        Assert.Equal(PauseCause.Application, (await Store.GetPauseAsync(Queue, Cancellation))!.Cause);

        await Store.SetPauseAsync(Queue, null, Cancellation);
        Assert.Null(await Store.GetPauseAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task A_long_queue_is_read_whole_and_in_order_while_it_shrinks()
    {
        for (var i = 0; i < 700; i++)
        {
            await Store.AddAsync(Entry("/" + i), Cancellation);
        }

        var read = new List<string>();
        await foreach (var entry in Store.ReadAsync(Queue, QueueEnd.Front, Cancellation))
        {
            read.Add(entry.Request.Uri.AbsolutePath);
            if (read.Count == 1)
            {
                await Store.CompleteAsync((await LeaseOneAsync()).Lease, null, Cancellation);
            }
        }

        Assert.Equal(Enumerable.Range(0, 700).Select(i => "/" + i), read);
        Assert.Equal(699, (await ReadAllAsync()).Count);
    }

    [Fact]
    public async Task A_long_queue_is_read_whole_from_its_back()
    {
        for (var i = 0; i < 300; i++)
        {
            await Store.AddAsync(Entry("/" + i), Cancellation);
        }

        var read = await Store.ReadAsync(Queue, QueueEnd.Back, Cancellation).ToListAsync(Cancellation);

        Assert.Equal(Enumerable.Range(0, 300).Reverse().Select(i => "/" + i), read.Select(entry => entry.Request.Uri.AbsolutePath));
    }

    [Fact]
    public async Task An_entry_is_found_by_its_id_in_its_own_queue_only()
    {
        var id = await AddAsync(Entry("/1"));
        await Store.AddAsync(Entry("/2"), Cancellation);

        var found = await Store.FindAsync(Queue, id, Cancellation);

        Assert.Equal("/1", found!.Request.Uri.AbsolutePath);
        Assert.Equal(Clock.GetUtcNow(), found.DueAt);
        Assert.Equal((await ReadAllAsync())[0].Revision, found.Revision);
        Assert.Null(await Store.FindAsync("other", id, Cancellation));
        Assert.Null(await Store.FindAsync(Queue, id + 2, Cancellation));
        Assert.Null(await Store.OpenBodyAsync("other", id, Cancellation));
    }

    [Fact]
    public async Task A_removed_entry_is_gone_with_its_body_and_the_lane_goes_on()
    {
        var head = await AddStreamedAsync(Entry("/1"), new byte[1000], 1000);
        await Store.AddAsync(Entry("/2"), Cancellation);
        var last = await AddAsync(Entry("/3"));

        Assert.Equal(EntryChange.NotFound, await Store.RemoveAsync("other", head, null, Cancellation));
        Assert.Equal(EntryChange.Done, await Store.RemoveAsync(Queue, head, null, Cancellation));
        Assert.Equal(EntryChange.NotFound, await Store.RemoveAsync(Queue, head, null, Cancellation));
        Assert.Equal(EntryChange.Done, await Store.RemoveAsync(Queue, last, null, Cancellation));

        Assert.Null(await ReadBodyAsync(head));
        Assert.Equal(new QueueCounts(1, 0, 0), await Store.CountAsync(Queue, Cancellation));
        await AssertDrainsAsync("/2");
        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task What_is_in_flight_is_neither_removed_nor_replaced_nor_cleared()
    {
        var id = await AddAsync(Entry("/1"));
        await Store.AddAsync(Entry("/2"), Cancellation);
        await Store.AddAsync(Entry("/3", queue: "other"), Cancellation);
        var lease = (await LeaseOneAsync()).Lease;
        var entry = (await Store.FindAsync(Queue, id, Cancellation))!;

        Assert.Equal(EntryChange.InFlight, await Store.RemoveAsync(Queue, id, null, Cancellation));
        Assert.Equal(
            EntryChange.InFlight, await Store.ReplaceAsync(entry with { Lane = "b" }, EntryBody.Empty, TimeSpan.Zero, Cancellation));
        Assert.Equal(1, await Store.ClearAsync(Queue, 10, Cancellation));

        Assert.Equal(entry.Revision, Assert.Single(await ReadAllAsync()).Revision);
        Assert.Single(await ReadAllAsync("other"));
        Assert.True(await Store.CompleteAsync(lease, null, Cancellation));
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task A_change_by_hand_voids_a_lease_whose_time_is_up()
    {
        var id = await AddAsync(Entry("/1"));
        var lease = (await LeaseOneAsync()).Lease;
        Clock.Advance(LeaseTime);
        var entry = (await Store.FindAsync(Queue, id, Cancellation))!;

        Assert.Equal(EntryChange.Done, await Store.ReplaceAsync(entry, null, TimeSpan.Zero, Cancellation));

        Assert.False(await Store.CompleteAsync(lease, null, Cancellation));
        Assert.Equal(1, (await LeaseOneAsync()).Entry!.Attempts);
    }

    [Fact]
    public async Task A_clear_takes_the_first_ones_first_and_no_more_than_it_may()
    {
        for (var i = 0; i < 5; i++)
        {
            await AddStreamedAsync(Entry("/" + i, "lane" + (i % 2)), new byte[100], 100);
        }

        Assert.Equal(3, await Store.ClearAsync(Queue, 3, Cancellation));

        Assert.Equal(["/3", "/4"], (await ReadAllAsync()).Select(entry => entry.Request.Uri.AbsolutePath));
        Assert.Equal(new QueueCounts(2, 0, 200), await Store.CountAsync(Queue, Cancellation));
        Assert.Equal(2, await Store.ClearAsync(Queue, 3, Cancellation));
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_replaced_entry_keeps_what_it_is_and_has_the_new_body(bool wasStreamed, bool isStreamed)
    {
        var added = Entry("/1") with
        {
            Timestamp = Clock.GetUtcNow() - TimeSpan.FromHours(1),
            ExpiresAt = Clock.GetUtcNow() + TimeSpan.FromHours(1),
            Attempts = 3,
            LastError = "HTTP 500",
            Metadata = new Dictionary<string, string> { ["kind"] = "photo" },
        };
        var old = RandomNumberGenerator.GetBytes(1000);
        var id = wasStreamed
            ? await AddStreamedAsync(added, old, 300)
            : await AddAsync(added with { Body = EntryBody.FromBytes(old) });
        await Store.AddAsync(Entry("/2"), Cancellation);
        var entry = (await Store.FindAsync(Queue, id, Cancellation))!;
        var request = new RequestSnapshot
        {
            Method = HttpMethod.Put,
            Uri = new Uri("https://new.example/x"),
            Headers = [new("X-New", "1")],
            ContentHeaders = [new("Content-Type", "text/plain")],
        };
        var bytes = RandomNumberGenerator.GetBytes(700);
        await using var writer = await Store.BeginBodyAsync(Cancellation);
        await writer.WriteAsync(bytes, Cancellation);
        var body = isStreamed ? EntryBody.FromWriter(writer) : EntryBody.FromBytes(bytes);

        Assert.Equal(EntryChange.Done, await Store.ReplaceAsync(entry with { Request = request }, body, TimeSpan.Zero, Cancellation));

        var edited = (await ReadAllAsync())[0];
        Assert.NotEqual(entry.Revision, edited.Revision);
        Assert.Equal(request.Uri, edited.Request.Uri);
        Assert.Equal(request.Headers, edited.Request.Headers);
        Assert.Equal(request.ContentHeaders, edited.Request.ContentHeaders);
        Assert.Equal(700, edited.BodyLength);
        Assert.Equal(bytes, await ReadBodyAsync(id));
        Assert.Equal(
            (id, added.Timestamp, added.ExpiresAt, 3, "HTTP 500", "photo"),
            (edited.Id, edited.Timestamp, edited.ExpiresAt, edited.Attempts, edited.LastError, edited.Metadata["kind"]));
        Assert.Equal(new QueueCounts(2, 0, 700), await Store.CountAsync(Queue, Cancellation));
        Assert.Equal("https://new.example", Assert.Single(await Store.GetScheduleAsync(Queue, Cancellation)).Origin);
        Assert.Equal(id, (await LeaseOneAsync(origin: "https://new.example")).Lease.EntryId);
    }

    [Fact]
    public async Task A_replacement_without_a_body_keeps_the_old_one()
    {
        var body = RandomNumberGenerator.GetBytes(1000);
        var id = await AddStreamedAsync(Entry(), body, 300);

        await Store.ReplaceAsync((await Store.FindAsync(Queue, id, Cancellation))!, null, TimeSpan.Zero, Cancellation);

        Assert.Equal(body, await ReadBodyAsync(id));
        Assert.Equal(new QueueCounts(1, 0, 1000), await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task A_change_that_is_based_on_an_older_reading_is_refused()
    {
        var id = await AddAsync(Entry("/1"));
        var read = (await Store.FindAsync(Queue, id, Cancellation))!;
        var edited = read with { Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = new Uri(Origin + "/edited") } };
        Assert.Equal(EntryChange.Done, await Store.ReplaceAsync(edited, null, TimeSpan.Zero, Cancellation));

        Assert.Equal(EntryChange.Outdated, await Store.ReplaceAsync(read, EntryBody.FromBytes(new byte[9]), TimeSpan.Zero, Cancellation));
        Assert.Equal(EntryChange.Outdated, await Store.RemoveAsync(Queue, id, read.Revision, Cancellation));

        var current = Assert.Single(await ReadAllAsync());
        Assert.Equal("/edited", current.Request.Uri.AbsolutePath);
        Assert.Equal(0, current.BodyLength);
        Assert.Equal(EntryChange.NotFound, await Store.ReplaceAsync(current with { Queue = "other" }, null, TimeSpan.Zero, Cancellation));
        Assert.Equal(EntryChange.Done, await Store.RemoveAsync(Queue, id, current.Revision, Cancellation));
    }

    [Fact]
    public async Task An_entry_takes_the_place_of_its_position_in_another_lane()
    {
        await Store.AddAsync(Entry("/1", "a"), Cancellation);
        var second = await AddAsync(Entry("/2", "b"));
        await Store.AddAsync(Entry("/3", "a"), Cancellation);
        await Store.AddAsync(Entry("/4", "b"), Cancellation);

        await MoveAsync(second, "a");

        var heads = await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation);
        Assert.Equal(["/1", "/4"], heads.Select(leased => leased.Entry!.Request.Uri.AbsolutePath).Order());
        foreach (var head in heads)
        {
            Assert.True(await Store.CompleteAsync(head.Lease, null, Cancellation));
        }

        await AssertDrainsAsync("/2", "/3");
        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task An_entry_heads_the_lane_that_it_comes_first_in_and_takes_its_attempts_along()
    {
        var first = await AddAsync(Entry("/1", "a"));
        await Store.AddAsync(Entry("/2", "b"), Cancellation);
        var lease = Assert.Single(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation)).Lease;
        await Store.SettleAsync(lease, new Settlement.Retry(TimeSpan.FromHours(1), true, "HTTP 503"), Cancellation);

        await MoveAsync(first, "b");

        var leased = await LeaseOneAsync();
        Assert.Equal(
            (first, "b", 1, "HTTP 503"), (leased.Lease.EntryId, leased.Entry!.Lane, leased.Entry.Attempts, leased.Entry.LastError));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
        await Store.CompleteAsync(leased.Lease, null, Cancellation);
        await AssertDrainsAsync("/2");
    }

    [Fact]
    public async Task An_entry_moved_before_one_in_flight_waits_for_it()
    {
        var first = await AddAsync(Entry("/1", "a") with { Delay = TimeSpan.FromHours(1) });
        await Store.AddAsync(Entry("/2", "b"), Cancellation);
        var sending = await LeaseOneAsync();

        await MoveAsync(first, "b");

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
        Assert.True(await Store.SettleAsync(sending.Lease, new Settlement.Retry(TimeSpan.Zero, true), Cancellation));
        await AssertDrainsAsync("/1", "/2");
    }

    [Fact]
    public async Task A_wait_asked_for_by_the_server_is_kept_in_another_lane()
    {
        var id = await AddAsync(Entry("/1", "a") with { Delay = TimeSpan.FromHours(1), RequestedDelay = true });

        await MoveAsync(id, "b");

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 10, LeaseTime, Cancellation));
        Assert.Equal(0, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));
        Clock.Advance(TimeSpan.FromHours(1));
        await AssertDrainsAsync("/1");
    }

    [Fact]
    public async Task What_is_past_its_retention_is_counted_apart()
    {
        var now = Clock.GetUtcNow();
        await Store.AddAsync(Entry("/1") with { ExpiresAt = now }, Cancellation);
        await Store.AddAsync(Entry("/2") with { ExpiresAt = now + TimeSpan.FromHours(1) }, Cancellation);
        Assert.Equal(new QueueCounts(2, 0, 0), await Store.CountAsync(Queue, Cancellation));

        Clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(new QueueCounts(2, 0, 0, Expired: 1), await Store.CountAsync(Queue, Cancellation));

        await Store.ExpireAsync(Queue, 10, keep: true, Cancellation);
        Assert.Equal(new QueueCounts(1, 1, 0), await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task Concurrent_callers_remove_nothing_twice()
    {
        for (var i = 0; i < 40; i++)
        {
            await Store.AddAsync(Entry("/" + i, "lane" + (i % 3)), Cancellation);
        }

        var ids = (await ReadAllAsync()).ConvertAll(entry => entry.Id);
        var removed = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(RemoveAllAsync, Cancellation)));

        Assert.Equal(40, removed.Sum());
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
        Assert.Empty(await Store.GetScheduleAsync(Queue, Cancellation));

        async Task<int> RemoveAllAsync()
        {
            var count = 0;
            foreach (var id in ids)
            {
                count += await Store.RemoveAsync(Queue, id, null, Cancellation) == EntryChange.Done ? 1 : 0;
            }

            return count;
        }
    }

    [Fact]
    public async Task Only_the_head_of_a_lane_is_due()
    {
        await Store.AddAsync(Entry("/1"), Cancellation);
        await Store.AddAsync(Entry("/2") with { Attempts = 1, LastError = "x" }, Cancellation);

        var entries = await ReadAllAsync();

        Assert.NotNull(entries[0].DueAt);
        Assert.Null(entries[1].DueAt);
        Assert.Equal(1, entries[1].Attempts);
        Assert.Equal("x", entries[1].LastError);
    }

    [Fact]
    public async Task Concurrent_callers_lease_nothing_twice()
    {
        for (var i = 0; i < 60; i++)
        {
            await Store.AddAsync(Entry("/" + i, "lane" + (i % 20)), Cancellation);
        }

        var taken = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(DrainAsync, Cancellation)));

        Assert.Equal(60, taken.Sum(ids => ids.Count));
        Assert.Equal(60, taken.SelectMany(ids => ids).Distinct().Count());
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));

        async Task<List<long>> DrainAsync()
        {
            var ids = new List<long>();
            while ((await Store.CountAsync(Queue, Cancellation)).Pending > 0)
            {
                foreach (var leased in await Store.LeaseAsync(Queue, Origin, 3, LeaseTime, Cancellation))
                {
                    ids.Add(leased.Lease.EntryId);
                    Assert.True(await Store.CompleteAsync(leased.Lease, null, Cancellation));
                }
            }

            return ids;
        }
    }

    [Fact]
    public async Task A_cancelled_call_changes_nothing()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await Store.AddAsync(Entry(), new CancellationToken(canceled: true)));
        Assert.Equal(default, await Store.CountAsync(Queue, Cancellation));
    }

    [Fact]
    public async Task There_is_nothing_to_reclaim_while_every_owner_lives()
    {
        await Store.AddAsync(Entry(), Cancellation);
        var lease = (await LeaseOneAsync()).Lease;

        Assert.Equal(ReclaimedWork.None, await Store.ReclaimAsync(Cancellation));
        Assert.True(await Store.CompleteAsync(lease, null, Cancellation));
    }

    [Fact]
    public async Task A_disposed_store_says_so()
    {
        await Store.AddAsync(Entry(), Cancellation);
        await Store.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.AddAsync(Entry(), Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.CountAsync(Queue, Cancellation));
    }

    private async Task FailAsync(string error, int? statusCode = null)
    {
        Clock.Advance(TimeSpan.FromSeconds(1));
        var retry = new Settlement.Retry(TimeSpan.Zero, CountsAsAttempt: true, error, StatusCode: statusCode);
        Assert.True(await Store.SettleAsync((await LeaseOneAsync()).Lease, retry, Cancellation));
    }

    private async Task<long> AddAsync(string path, EntryPriority priority = EntryPriority.Normal) =>
        await AddAsync(Entry(path) with { Priority = priority });

    private async Task MoveAsync(long id, string lane)
    {
        var entry = (await Store.FindAsync(Queue, id, Cancellation))!;
        Assert.Equal(EntryChange.Done, await Store.ReplaceAsync(entry with { Lane = lane }, null, TimeSpan.Zero, Cancellation));
    }

    protected async Task AssertDrainsAsync(params string[] paths)
    {
        foreach (var path in paths)
        {
            var leased = await LeaseOneAsync();
            Assert.Equal(path, leased.Entry!.Request.Uri.AbsolutePath);
            Assert.True(await Store.CompleteAsync(leased.Lease, null, Cancellation));
        }
    }
}

using BgSync.Http;
using BgSync.Http.Outcomes;
using BgSync.Http.Storage;
using Xunit;

namespace TestKit.Storage;

/// <summary>Input that is unlikely but may be given to a store.</summary>
public abstract partial class StoreContractTests
{
    [Theory]
    [MemberData(nameof(HardTexts.All), MemberType = typeof(HardTexts))]
    public async Task A_lane_may_have_any_name_and_is_no_other_lane(HardText text)
    {
        var lane = text.Value();
        await Store.AddAsync(Entry("/1", lane), Cancellation);
        await Store.AddAsync(Entry("/other", text.Lookalike()), Cancellation);
        await Store.AddAsync(Entry("/2", lane), Cancellation);

        Assert.True(await Store.HasEntriesAsync(Queue, lane, Cancellation));
        var first = await Store.LeaseLaneAsync(Queue, lane, LeaseTime, Cancellation);
        Assert.Equal("/1", first!.Entry!.Request.Uri.AbsolutePath);
        HardTexts.AssertKept(lane, first.Entry.Lane);
        Assert.Null(await Store.LeaseLaneAsync(Queue, lane, LeaseTime, Cancellation));
        Assert.Equal("/other", (await LeaseOneAsync()).Entry!.Request.Uri.AbsolutePath);
        Assert.True(await Store.CompleteAsync(first.Lease, null, Cancellation));
        var second = (await LeaseOneAsync()).Lease;

        // It moves into a lane that is named after its own.
        Assert.True(await Store.SettleAsync(second, new Settlement.Retry(TimeSpan.Zero, true, LeavesLane: true), Cancellation));
        Assert.False(await Store.HasEntriesAsync(Queue, lane, Cancellation));
        var moved = (await LeaseOneAsync()).Entry!;
        HardTexts.AssertKept($"{lane}#{moved.Id}", moved.Lane);
    }

    [Theory]
    [MemberData(nameof(HardTexts.All), MemberType = typeof(HardTexts))]
    public async Task A_coalescing_key_may_be_any_text_and_is_no_other_key(HardText text)
    {
        var id = await AddAsync(Entry() with { CoalesceKey = text.Value() });
        await Store.AddAsync(Entry() with { CoalesceKey = text.Lookalike() }, Cancellation);
        await Store.AddAsync(Entry(), Cancellation);

        var found = await Store.FindLastAsync(Queue, text.Value(), Cancellation);

        Assert.Equal(id, found!.Id);
        HardTexts.AssertKept(text.Value(), found.CoalesceKey);
    }

    [Theory]
    [MemberData(nameof(HardTexts.All), MemberType = typeof(HardTexts))]
    public async Task An_error_may_be_any_text(HardText text)
    {
        var error = text.Value();
        var id = await AddAsync(Entry() with { Attempts = 1, LastError = error });
        HardTexts.AssertKept(error, (await Store.FindAsync(Queue, id, Cancellation))!.LastError);
        await FailAsync(error);
        var leased = await LeaseOneAsync();
        HardTexts.AssertKept(error, leased.Entry!.LastError);

        await Store.SettleAsync(leased.Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected, error), Cancellation);

        var letter = Assert.Single(await ReadDeadAsync());
        HardTexts.AssertKept(error, letter.Error);
        HardTexts.AssertKept(error, letter.Entry!.LastError);
        Assert.Equal(3, letter.History.Count);
        Assert.All(letter.History, attempt => HardTexts.AssertKept(error, attempt.Error));
        HardTexts.AssertKept(error, (await GetReceiptAsync(id)).Error);
    }

    [Theory]
    [MemberData(nameof(HardTexts.All), MemberType = typeof(HardTexts))]
    public async Task The_reason_of_a_pause_may_be_any_text(HardText text)
    {
        await Store.SetPauseAsync(Queue, new QueuePause(PauseCause.Application, text.Value(), Clock.GetUtcNow()), Cancellation);

        HardTexts.AssertKept(text.Value(), (await Store.GetPauseAsync(Queue, Cancellation))!.Reason);
    }

    [Fact]
    public async Task Headers_and_notes_may_be_many_and_odd()
    {
        var texts = Enum.GetValues<HardText>().Except([HardText.HalfASurrogatePair]).Select(static text => text.Value()).ToList();
        KeyValuePair<string, string>[] headers =
            [.. Enumerable.Range(0, 500).Select(i => KeyValuePair.Create($"X-{i % 50}", $"{i} {texts[i % texts.Count]}"))];
        var metadata = texts.Concat(texts.Select(static text => text + "2")).Append("__proto__").ToDictionary(static text => text + "!");
        metadata.Add("", "");
        var request = new RequestSnapshot
        {
            Method = new HttpMethod("X-ODD!"),
            Uri = new Uri(Origin),
            Headers = headers,
            ContentHeaders = headers,
        };

        await Store.AddAsync(Entry() with { Request = request, Metadata = metadata }, Cancellation);

        var entry = Assert.Single(await ReadAllAsync());
        Assert.Equal("X-ODD!", entry.Request.Method.Method);
        Assert.Equal(headers, entry.Request.Headers);
        Assert.Equal(headers, entry.Request.ContentHeaders);
        Assert.Equal(metadata.OrderBy(note => note.Key), entry.Metadata.OrderBy(note => note.Key));
    }

    [Fact]
    public async Task A_uri_may_be_very_long()
    {
        var uri = new Uri($"{Origin}/?q={new string('%', 20_000).Replace("%", "%2F", StringComparison.Ordinal)}#é");
        var request = new RequestSnapshot { Method = HttpMethod.Get, Uri = uri };

        await Store.AddAsync(Entry() with { Request = request }, Cancellation);

        var leased = await LeaseOneAsync();
        Assert.Equal(uri.OriginalString, leased.Entry!.Request.Uri.OriginalString);
        await Store.SettleAsync(leased.Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        Assert.Equal(uri.OriginalString, Assert.Single(await ReadDeadAsync()).Entry!.Request.Uri.OriginalString);
    }

    [Fact]
    public async Task Every_name_that_a_queue_may_have_is_a_queue_of_its_own()
    {
        string[] queues =
        [
            "a-b", "a_b", "a.b", "A-B", "ab", ".", "..", "-", "_", "1", "_id", "CON", "bgsync", "bgsync_lanes", "entry", "lane", "queue",
            "select", new('q', 64), new string('q', 63) + "Q",
        ];
        foreach (var queue in queues)
        {
            await Store.AddAsync(Entry($"/{queue.Length}", queue: queue) with { CoalesceKey = "key" }, Cancellation);
            await Store.SetPauseAsync(queue, new QueuePause(PauseCause.Application, queue, Clock.GetUtcNow()), Cancellation);
        }

        foreach (var queue in queues)
        {
            Assert.Equal(queue, (await Store.GetPauseAsync(queue, Cancellation))!.Reason);
            Assert.Equal(queue, (await Store.FindLastAsync(queue, "key", Cancellation))!.Queue);
            var leased = await LeaseOneAsync(queue);
            Assert.Equal(queue, leased.Entry!.Queue);
            await Store.SettleAsync(leased.Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
            Assert.Equal(queue, Assert.Single(await ReadDeadAsync(queue)).Queue);
            Assert.Equal(new QueueCounts(0, 1, 0), await Store.CountAsync(queue, Cancellation));
        }
    }

    [Fact]
    public async Task A_body_may_be_empty_however_it_is_given()
    {
        await using var untouched = await Store.BeginBodyAsync(Cancellation);
        await using var touched = await Store.BeginBodyAsync(Cancellation);
        await touched.WriteAsync(default, Cancellation);
        foreach (var body in (EntryBody[])
            [EntryBody.Empty, EntryBody.FromBytes(default), EntryBody.FromWriter(untouched), EntryBody.FromWriter(touched)])
        {
            var id = await AddAsync(Entry() with { Body = body });
            Assert.Empty((await ReadBodyAsync(id))!);
            Assert.Equal(0, (await Store.FindAsync(Queue, id, Cancellation))!.BodyLength);
        }

        Assert.Equal(new QueueCounts(4, 0, 0), await Store.CountAsync(Queue, Cancellation));
        await AssertDrainsAsync("/a", "/a", "/a", "/a");
    }

    [Fact]
    public async Task A_chunk_of_a_body_may_be_empty()
    {
        await using var writer = await Store.BeginBodyAsync(Cancellation);
        foreach (var chunk in (byte[][])[[], [1], [], [2, 3], []])
        {
            await writer.WriteAsync(chunk, Cancellation);
        }

        Assert.Equal([1, 2, 3], await ReadBodyAsync(await AddAsync(Entry() with { Body = EntryBody.FromWriter(writer) })));
    }

    [Fact]
    public async Task Times_may_be_the_first_and_the_last_that_there_are()
    {
        DateTimeOffset[] times =
        [
            DateTimeOffset.MinValue,
            DateTimeOffset.UnixEpoch.AddMilliseconds(-1),
            new(2026, 3, 29, 3, 30, 0, TimeSpan.FromHours(-14)),
            DateTimeOffset.MaxValue,
        ];
        foreach (var time in times)
        {
            await Store.AddAsync(Entry() with { Timestamp = time, ExpiresAt = time }, Cancellation);
        }

        var read = await ReadAllAsync();
        Assert.Equal(times, read.Select(entry => entry.Timestamp));
        Assert.Equal(times, read.Select(entry => entry.ExpiresAt));
        Assert.Equal(new QueueCounts(4, 0, 0, Expired: 2), await Store.CountAsync(Queue, Cancellation));
        Assert.Equal(times[..2], (await Store.ExpireAsync(Queue, 10, keep: true, Cancellation)).Select(letter => letter.Entry!.ExpiresAt));
        Assert.True(await Store.RequeueAsync(Queue, read[0].Id, DateTimeOffset.MinValue, Cancellation));
        Assert.Single(await Store.ExpireAsync(Queue, 10, keep: false, Cancellation));

        Assert.Empty(await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MinValue, keep: null, 10, Cancellation));
        Assert.Equal(0, await Store.ForgetReceiptsAsync(Queue, DateTimeOffset.MinValue, 10, Cancellation));
        Assert.Single(await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MaxValue, keep: null, 10, Cancellation));
        Assert.Equal(2, await Store.ForgetReceiptsAsync(Queue, DateTimeOffset.MaxValue, 10, Cancellation));
    }

    [Fact]
    public async Task Waits_and_leases_may_be_as_short_and_as_long_as_can_be()
    {
        await Store.AddAsync(Entry("/1", "1") with { Delay = TimeSpan.MinValue, RequestedDelay = true }, Cancellation);
        var leased = Assert.Single(await Store.LeaseAsync(Queue, Origin, 1, TimeSpan.MaxValue, Cancellation));
        Assert.Equal(DateTimeOffset.MaxValue, leased.Entry!.DueAt);
        Clock.Advance(TimeSpan.FromDays(1000));
        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 1, LeaseTime, Cancellation));
        Assert.True(await Store.RenewAsync(leased.Lease, TimeSpan.FromMilliseconds(1), Cancellation));
        Assert.True(await Store.RenewAsync(leased.Lease, TimeSpan.MaxValue, Cancellation));

        Assert.True(
            await Store.SettleAsync(leased.Lease, new Settlement.Retry(TimeSpan.MinValue, true, RequestedDelay: true), Cancellation));
        var endless = new Settlement.Retry(TimeSpan.MaxValue, true, RequestedDelay: true);
        Assert.True(await Store.SettleAsync((await LeaseOneAsync()).Lease, endless, Cancellation));

        Assert.Equal(DateTimeOffset.MaxValue, Assert.Single(await Store.GetScheduleAsync(Queue, Cancellation)).DueAt);
        Assert.Equal(0, await Store.ClearBackoffAsync(Queue, onlyEndless: false, Cancellation));
    }

    [Theory]
    [InlineData(long.MinValue)]
    [InlineData(-1L)]
    [InlineData(0L)]
    [InlineData(long.MaxValue)]
    [InlineData(null)]
    public async Task An_id_that_is_not_of_the_queue_is_nothing_to_it(long? id)
    {
        var dead = await AddAsync(Entry("/dead", queue: "other"));
        await Store.SettleAsync((await LeaseOneAsync("other")).Lease, new Settlement.DeadLettered(DeadLetterCause.Rejected), Cancellation);
        var foreign = await AddAsync(Entry("/foreign", queue: "other") with
        {
            Body = EntryBody.FromBytes(new byte[3]),
            Attempts = 1,
            LastError = "HTTP 503",
        });
        await Store.AddAsync(Entry(), Cancellation);
        var entry = (await LeaseOneAsync()).Entry!;

        foreach (var other in id is { } given ? [given] : (long[])[foreign, dead])
        {
            Assert.Null(await Store.FindAsync(Queue, other, Cancellation));
            Assert.Null(await Store.OpenBodyAsync(Queue, other, Cancellation));
            Assert.Null(await Store.GetReceiptAsync(Queue, other, Cancellation));
            Assert.Empty(await Store.GetHistoryAsync(Queue, other, Cancellation));
            Assert.Equal(EntryChange.NotFound, await Store.RemoveAsync(Queue, other, null, Cancellation));
            Assert.Equal(
                EntryChange.NotFound, await Store.ReplaceAsync(entry with { Id = other }, EntryBody.Empty, TimeSpan.Zero, Cancellation));
            Assert.False(await Store.RequeueAsync(Queue, other, DateTimeOffset.MaxValue, Cancellation));
            Assert.False(await Store.DeleteDeadLetterAsync(Queue, other, Cancellation));
            Assert.Null(await Store.CommitWriteAheadAsync(other, _atOnce, Cancellation));
            Assert.False(await Store.DiscardWriteAheadAsync(other, Cancellation));
            Assert.False(await Store.CompleteAsync(new Lease(other, Guid.NewGuid()), null, Cancellation));
            await Store.AddAsync(Entry("/follows", $"{other}") with { Prerequisite = other }, Cancellation);
            Assert.NotNull(await Store.LeaseLaneAsync(Queue, $"{other}", LeaseTime, Cancellation));
        }

        Assert.Equal(new QueueCounts(1, 1, 3), await Store.CountAsync("other", Cancellation));
    }

    [Fact]
    public async Task As_many_are_taken_as_are_asked_for_be_it_none_or_all()
    {
        for (var i = 0; i < 3; i++)
        {
            await Store.AddAsync(Entry("/" + i, $"{i}") with { ExpiresAt = DateTimeOffset.MinValue }, Cancellation);
        }

        Assert.Empty(await Store.LeaseAsync(Queue, Origin, 0, LeaseTime, Cancellation));
        Assert.Empty(await Store.ExpireAsync(Queue, 0, keep: true, Cancellation));
        Assert.Equal(0, await Store.ClearAsync(Queue, 0, Cancellation));
        Assert.Equal(3, (await Store.LeaseAsync(Queue, Origin, int.MaxValue, LeaseTime, Cancellation)).Count);
        Clock.Advance(LeaseTime);
        Assert.Equal(3, (await Store.ExpireAsync(Queue, int.MaxValue, keep: true, Cancellation)).Count);
        Assert.Empty(await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MaxValue, keep: 0, limit: 0, Cancellation));
        Assert.Equal(0, await Store.ForgetReceiptsAsync(Queue, DateTimeOffset.MaxValue, 0, Cancellation));
        Assert.Equal(
            3, (await Store.TrimDeadLettersAsync(Queue, DateTimeOffset.MinValue, keep: 0, int.MaxValue, Cancellation)).Count);
        Assert.Equal(3, await Store.ForgetReceiptsAsync(Queue, DateTimeOffset.MaxValue, int.MaxValue, Cancellation));
        Assert.Equal(0, await Store.ClearAsync(Queue, int.MaxValue, Cancellation));
    }

    [Fact]
    public async Task A_store_may_be_disposed_of_twice_and_before_it_is_used()
    {
        await using var store = OpenStore();
        await store.DisposeAsync();

        await Store.AddAsync(Entry(), Cancellation);
        await Store.DisposeAsync();
    }
}

using System.Net;
using BgSync.Http.Events;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace BgSync.Http.Tests.Events;

/// <summary>A response that is handed over goes to one waiter; one that nobody wants is disposed of.</summary>
public sealed class EntryWaitersTests
{
    private readonly EntryWaiters _waiters = new();

    [Fact]
    public void A_response_goes_to_the_last_who_waits_for_its_entry()
    {
        using var first = _waiters.Add("test", 1);
        using var last = _waiters.Add("test", 1);
        using var other = _waiters.Add("test", 2);
        var response = new HttpResponseMessage();

        Assert.True(_waiters.TryOffer(1, response));

        Assert.Null(first.TakeResponse(200));
        Assert.Null(other.TakeResponse(200));
        Assert.Same(response, last.TakeResponse(200));
        Assert.Null(last.TakeResponse(200));
    }

    [Fact]
    public void A_response_is_not_taken_that_nobody_waits_for()
    {
        var waiter = _waiters.Add("test", 1);
        waiter.Dispose();

        Assert.False(_waiters.IsAwaited(1));
        Assert.False(_waiters.TryOffer(1, new()));
        Assert.False(waiter.TryOffer(new()));
    }

    [Fact]
    public void A_response_is_not_given_for_another_than_the_receipt_speaks_of()
    {
        using var waiter = _waiters.Add("test", 1);
        _waiters.TryOffer(1, new(HttpStatusCode.UnprocessableEntity));

        Assert.Null(waiter.TakeResponse(200));
    }

    [Fact]
    public async Task A_response_that_is_left_or_followed_by_another_is_disposed_of()
    {
        var waiter = _waiters.Add("test", 1);
        var followed = new HttpResponseMessage { Content = new StringContent("1") };
        var left = new HttpResponseMessage { Content = new StringContent("2") };
        _waiters.TryOffer(1, followed);
        _waiters.TryOffer(1, left);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => followed.Content.ReadAsStringAsync());

        waiter.Dispose();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => left.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public void Those_look_whose_entry_has_ended(long ended, bool looks)
    {
        using var waiter = _waiters.Add("test", 1);
        var waiting = waiter.WaitAsync(Timeout.InfiniteTimeSpan, new FakeTimeProvider(), TestContext.Current.CancellationToken);

        _waiters.Signal(ended);

        Assert.Equal(looks, SpinWait.SpinUntil(() => waiting.IsCompleted, looks ? TimeSpan.FromSeconds(30) : TimeSpan.Zero));
    }

    [Theory]
    [InlineData("test", true)]
    [InlineData("other", false)]
    public void All_look_whose_queue_was_cleared(string cleared, bool look)
    {
        using var waiter = _waiters.Add("test", 1);
        var waiting = waiter.WaitAsync(Timeout.InfiniteTimeSpan, new FakeTimeProvider(), TestContext.Current.CancellationToken);

        _waiters.SignalAll(cleared);

        Assert.Equal(look, SpinWait.SpinUntil(() => waiting.IsCompleted, look ? TimeSpan.FromSeconds(30) : TimeSpan.Zero));
    }

    [Fact]
    public async Task A_signal_that_came_before_the_wait_ends_it()
    {
        using var waiter = _waiters.Add("test", 1);
        waiter.Signal();

        await waiter.WaitAsync(Timeout.InfiniteTimeSpan, new FakeTimeProvider(), TestContext.Current.CancellationToken);
    }

    [Fact]
    public void Once_closed_nobody_waits_until_it_is_open_again()
    {
        using var before = _waiters.Add("test", 1);
        _waiters.Close();
        using var after = _waiters.Add("test", 1);
        _waiters.Open();
        using var again = _waiters.Add("test", 1);

        Assert.Equal((true, true, false), (before.IsEnded, after.IsEnded, again.IsEnded));
    }
}

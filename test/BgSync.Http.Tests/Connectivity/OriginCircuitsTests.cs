using BgSync.Http.Connectivity;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace BgSync.Http.Tests.Connectivity;

/// <summary>The circuit of an origin: closed, open, half-open, and how many requests it lets through at a time.</summary>
public sealed class OriginCircuitsTests
{
    private const string Origin = "https://api.test";

    private readonly FakeTimeProvider _clock = new();
    private readonly BackgroundSyncOptions _options = new() { Randomizer = () => 1 };
    private readonly OriginCircuits _circuits;

    public OriginCircuitsTests() => _circuits = new OriginCircuits(_clock);

    [Fact]
    public void Unknown_origin_is_probed_by_one_request()
    {
        Assert.Equal(1, Admit(8, out _));
        Assert.Equal(0, Admit(8, out var wait));
        Assert.Equal(Timeout.InfiniteTimeSpan, wait);
    }

    [Fact]
    public void Concurrency_grows_from_one_with_each_success()
    {
        Assert.Equal([1, 2, 3, 4], Enumerable.Range(1, 4).Select(_ => SucceedWith(8)).ToArray());
    }

    [Fact]
    public void Concurrency_halves_on_a_time_out_and_grows_slowly_from_there()
    {
        Grow(8);
        Assert.Equal(8, Admit(8, out _));
        var begun = _clock.GetTimestamp();
        _clock.Advance(TimeSpan.FromSeconds(3));

        // Those that were begun together are one time-out.
        Report(OriginReport.Silent, begun);
        Report(OriginReport.Silent, begun);

        _circuits.Leave(Origin, 8);
        Assert.Equal(4, Admit(8, out _));
        Report(OriginReport.Succeeded);
        _circuits.Leave(Origin, 4);
        Assert.Equal(4, Admit(8, out _));
    }

    [Fact]
    public void Waiting_for_a_connection_halves_the_concurrency_and_leaves_the_circuit_closed()
    {
        Grow(4);
        Assert.Equal(4, Admit(4, out _));
        _clock.Advance(TimeSpan.FromSeconds(3));

        Report(OriginReport.Congested, _clock.GetTimestamp() - 1);

        _circuits.Leave(Origin, 4);
        Assert.Equal(2, Admit(4, out _));
    }

    [Fact]
    public void No_more_requests_than_the_client_has_connections_for()
    {
        Grow(8);

        Assert.Equal(2, _circuits.Admit(Origin, 8, maxConnections: 2, _options, out _));
    }

    [Fact]
    public void Lone_time_out_makes_the_next_request_a_probe_and_its_time_out_opens_the_circuit()
    {
        Grow(1);
        Admit(1, out _);
        Report(OriginReport.Silent);
        _circuits.Leave(Origin, 1);
        Assert.True(_circuits.HasTimedOut(Origin));

        Assert.Equal(1, Admit(8, out _));
        Report(OriginReport.Silent);
        _circuits.Leave(Origin, 1);

        Assert.Equal(0, Admit(8, out var wait));
        Assert.Equal(TimeSpan.FromSeconds(1), wait);
    }

    [Fact]
    public void Unreachable_origin_waits_for_its_backoff_which_doubles()
    {
        foreach (var seconds in (int[])[1, 2, 4, 8])
        {
            Assert.Equal(1, Admit(8, out _));
            Report(OriginReport.Unreachable);
            _circuits.Leave(Origin, 1);

            Assert.Equal(0, Admit(8, out var wait));
            Assert.Equal(TimeSpan.FromSeconds(seconds), wait);
            _clock.Advance(wait);
        }
    }

    [Fact]
    public void Retry_After_holds_the_origin_and_only_time_ends_it()
    {
        Grow(8);
        _circuits.Report(Origin, OriginReport.Answered, TimeSpan.FromSeconds(10), _options, _clock.GetTimestamp());

        _circuits.RetryAfter(TimeSpan.Zero, _options);
        _circuits.ReportLive(Origin, 200, _options);

        Assert.Equal(0, Admit(8, out var wait));
        Assert.Equal(TimeSpan.FromSeconds(10), wait);
        _clock.Advance(wait);
        Assert.Equal(1, Admit(8, out _));
    }

    [Theory]
    [InlineData(200, true)]
    [InlineData(404, true)]
    [InlineData(401, false)]
    [InlineData(407, false)]
    [InlineData(503, false)]
    public void Held_origin_is_released_by_a_live_answer_that_wants_no_credentials(int status, bool isReleased)
    {
        Admit(1, out _);
        Report(OriginReport.Held);
        _circuits.Leave(Origin, 1);

        _circuits.ReportLive(Origin, status, _options);

        Assert.Equal(isReleased ? 1 : 0, Admit(1, out _));
    }

    [Fact]
    public void Held_origin_leaves_the_others_alone()
    {
        Admit(1, out _);
        Report(OriginReport.Held);
        _circuits.Leave(Origin, 1);

        Assert.Equal(1, _circuits.Admit("https://other.test", 1, int.MaxValue, _options, out _));
        _circuits.Report("https://other.test", OriginReport.Succeeded, null, _options, _clock.GetTimestamp());

        Assert.Equal(0, Admit(1, out _));
    }

    [Fact]
    public void Network_event_ends_the_wait_of_a_held_and_of_an_unreachable_origin()
    {
        foreach (var report in (OriginReport[])[OriginReport.Held, OriginReport.Unreachable])
        {
            Assert.Equal(1, Admit(1, out _));
            Report(report);
            _circuits.Leave(Origin, 1);
            Assert.Equal(0, Admit(1, out _));

            _circuits.RetryAfter(TimeSpan.Zero, _options);
        }
    }

    [Fact]
    public void Origin_that_rejects_everything_is_doubted_after_ten_rejections_and_believed_after_the_grace()
    {
        Assert.All(Enumerable.Range(1, OriginCircuit.MaxRejections), _ => Assert.True(Report(OriginReport.Rejected)));
        Assert.False(Report(OriginReport.Rejected));
        Assert.Equal(0, Admit(1, out _));

        _clock.Advance(_options.Retry.RejectionGrace);

        Assert.Equal(1, Admit(1, out _));
        Assert.True(Report(OriginReport.Rejected));
        _circuits.Leave(Origin, 1);
        Assert.NotEqual(0, Admit(1, out _));
    }

    [Fact]
    public void Success_ends_the_count_of_rejections()
    {
        for (var i = 0; i < 5; i++)
        {
            Assert.All(Enumerable.Range(1, OriginCircuit.MaxRejections), _ => Assert.True(Report(OriginReport.Rejected)));
            Report(OriginReport.Succeeded);
        }
    }

    [Fact]
    public void Probe_that_brings_no_answer_leaves_the_circuit_open()
    {
        Assert.Equal(1, Admit(1, out _));
        _circuits.Leave(Origin, 1);

        Assert.Equal(1, Admit(1, out _));
    }

    [Fact]
    public void Somebody_who_was_not_admitted_is_told_when_there_is_room()
    {
        Grow(2);
        Assert.InRange(Admit(8, out _), 2, 3);
        var told = 0;
        _circuits.Changed += _ => told++;

        _circuits.Leave(Origin, 1);
        _circuits.Leave(Origin, 1);

        Assert.Equal(1, told);
    }

    [Fact]
    public void Body_that_does_not_end_gets_half_the_time_the_next_time()
    {
        Assert.Equal(TimeSpan.FromSeconds(5), _circuits.Of(Origin).BodyPatience);
        _circuits.BodyRead(Origin, hasEnded: false);
        Assert.Equal(TimeSpan.FromSeconds(2.5), _circuits.Of(Origin).BodyPatience);
        _circuits.BodyRead(Origin, hasEnded: true);
        Assert.Equal(TimeSpan.FromSeconds(5), _circuits.Of(Origin).BodyPatience);
    }

    private int Admit(int wanted, out TimeSpan wait) => _circuits.Admit(Origin, wanted, int.MaxValue, _options, out wait);

    private bool Report(OriginReport report, long? begunAt = null) =>
        _circuits.Report(Origin, report, requested: null, _options, begunAt ?? _clock.GetTimestamp());

    /// <summary>Admits as many as may be, and lets one of them succeed.</summary>
    private int SucceedWith(int wanted)
    {
        var admitted = Admit(wanted, out _);
        Report(OriginReport.Succeeded);
        _circuits.Leave(Origin, admitted);
        return admitted;
    }

    private void Grow(int limit)
    {
        while (SucceedWith(limit) < limit)
        {
        }
    }
}

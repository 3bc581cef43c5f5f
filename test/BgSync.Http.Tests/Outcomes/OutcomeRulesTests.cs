using System.Net;
using BgSync.Http.Connectivity;
using BgSync.Http.Outcomes;
using Xunit;

namespace BgSync.Http.Tests.Outcomes;

/// <summary>The rules for responses and failures, a row a rule.</summary>
public sealed class OutcomeRulesTests
{
    private static readonly Uri _uri = new("https://api.test/orders");

    private readonly BackgroundSyncOptions _options = new() { Randomizer = () => 1 };

    private readonly QueuedEntry _entry = new()
    {
        Id = 1,
        Queue = "test",
        Lane = "",
        Request = new RequestSnapshot { Method = HttpMethod.Post, Uri = _uri },
        Timestamp = DateTimeOffset.UnixEpoch,
    };

    private readonly SentRequest _sent = new(HttpMethod.Post, _uri, HasKey: true, IsRepeatable: true, AddedExpect: false);

    [Theory]
    // Taken.
    [InlineData(200, nameof(Settlement.Delivered), nameof(OriginReport.Succeeded))]
    [InlineData(201, nameof(Settlement.Delivered), nameof(OriginReport.Succeeded))]
    [InlineData(204, nameof(Settlement.Delivered), nameof(OriginReport.Succeeded))]
    [InlineData(299, nameof(Settlement.Delivered), nameof(OriginReport.Succeeded))]
    // Credentials are wanted.
    [InlineData(401, nameof(Settlement.Held), nameof(OriginReport.Held))]
    [InlineData(407, nameof(Settlement.Held), nameof(OriginReport.Held))]
    [InlineData(511, nameof(Settlement.Held), nameof(OriginReport.Held))]
    // The same request may be answered otherwise later.
    [InlineData(408, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(421, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(423, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(425, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(429, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(500, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(502, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(503, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(504, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(507, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    [InlineData(599, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    // The server will not change its mind.
    [InlineData(501, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(505, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(304, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(400, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(403, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(404, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(409, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(410, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(413, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(417, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(422, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(451, nameof(Settlement.DeadLettered), nameof(OriginReport.Rejected))]
    [InlineData(600, nameof(Settlement.Retry), nameof(OriginReport.Answered))]
    public void Status_alone_decides(int status, string settlement, string origin) =>
        AssertIs(settlement, origin, Decide(new Answer { StatusCode = status }));

    [Theory]
    [InlineData(400)]
    [InlineData(403)]
    [InlineData(404)]
    [InlineData(413)]
    [InlineData(429)]
    [InlineData(503)]
    [InlineData(501)]
    public void Retry_After_is_obeyed_whatever_the_status(int status)
    {
        var wait = TimeSpan.FromSeconds(10);

        var retry = Assert.IsType<Settlement.Retry>(Decide(new Answer { StatusCode = status, RetryAfter = wait }));

        Assert.Equal((wait, true, true), (retry.Delay, retry.RequestedDelay, retry.CountsAsAttempt));
        Assert.Equal(OriginReport.Answered, retry.Origin);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(204)]
    [InlineData(302)]
    [InlineData(307)]
    [InlineData(303)]
    public void Redirect_elsewhere_holds_the_origin_and_names_the_target(int status)
    {
        var held = Assert.IsType<Settlement.Held>(
            Decide(new Answer { StatusCode = status, RedirectedTo = "https://login.test/signin" }));

        Assert.Contains("https://login.test/signin", held.Error, StringComparison.Ordinal);
        Assert.True(held.CountsAsAttempt);
        Assert.Equal(OriginReport.Held, held.Origin);
    }

    [Fact]
    public void Credentials_wanted_by_the_target_of_a_redirect_name_it()
    {
        var held = Assert.IsType<Settlement.Held>(
            Decide(new Answer { StatusCode = 401, RedirectedTo = "https://login.test/signin" }));

        Assert.Contains("https://login.test/signin", held.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(200, nameof(Settlement.Delivered))]
    [InlineData(303, nameof(Settlement.Delivered))]
    [InlineData(302, nameof(Settlement.Held))]
    [InlineData(307, nameof(Settlement.Held))]
    public void AcceptRedirects_takes_a_success_behind_a_redirect(int status, string settlement)
    {
        _options.AcceptRedirects = true;

        AssertIs(settlement, null, Decide(new Answer { StatusCode = status, RedirectedTo = "https://api.test/created" }));
    }

    [Theory]
    [InlineData(200, nameof(Settlement.Retry))]
    [InlineData(201, nameof(Settlement.Delivered))]
    [InlineData(409, nameof(Settlement.Delivered))]
    [InlineData(404, nameof(Settlement.DeadLettered))]
    public void DeliveredStatuses_alone_mean_delivered(int status, string settlement)
    {
        _options.DeliveredStatuses.Add(HttpStatusCode.Created);
        _options.DeliveredStatuses.Add(HttpStatusCode.Conflict);

        AssertIs(settlement, null, Decide(new Answer { StatusCode = status }));
    }

    [Theory]
    [InlineData("application/json", true, nameof(Settlement.Delivered))]
    [InlineData("APPLICATION/JSON", true, nameof(Settlement.Delivered))]
    [InlineData("text/html", true, nameof(Settlement.Retry))]
    [InlineData(null, true, nameof(Settlement.Retry))]
    [InlineData(null, false, nameof(Settlement.Delivered))]
    public void ExpectContentType_tells_a_portal_from_the_server(string? mediaType, bool hasBody, string settlement)
    {
        _options.ExpectContentType = "application/json";

        AssertIs(settlement, null, Decide(new Answer { StatusCode = 200, MediaType = mediaType, HasBody = hasBody }));
    }

    [Theory]
    [InlineData(true, nameof(Settlement.Retry))]
    [InlineData(false, nameof(Settlement.DeadLettered))]
    public void Conflict_is_retried_while_an_earlier_attempt_may_be_running(bool mayRun, string settlement) =>
        AssertIs(settlement, null, Decide(new Answer { StatusCode = 409, EarlierMayRun = mayRun }));

    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    [InlineData(429)]
    [InlineData(409)]
    public void Stored_failure_that_a_server_repeats_is_final(int status)
    {
        var settlement = Decide(new Answer { StatusCode = status, IsStored = true, EarlierMayRun = true, RetryAfter = TimeSpan.FromSeconds(1) });

        Assert.Equal(DeadLetterCause.Rejected, Assert.IsType<Settlement.DeadLettered>(settlement).Cause);
    }

    [Fact]
    public void Status_417_to_our_own_Expect_is_no_attempt()
    {
        var settlement = OutcomeRules.Decide(_entry, _sent with { AddedExpect = true }, new Answer { StatusCode = 417 }, _options);

        var retry = Assert.IsType<Settlement.Retry>(settlement);
        Assert.Equal((TimeSpan.Zero, false), (retry.Delay, retry.CountsAsAttempt));
    }

    [Theory]
    [InlineData(ResponseVerdict.Delivered, 500, nameof(Settlement.Delivered))]
    [InlineData(ResponseVerdict.Retry, 200, nameof(Settlement.Retry))]
    [InlineData(ResponseVerdict.Hold, 200, nameof(Settlement.Held))]
    [InlineData(ResponseVerdict.Reject, 200, nameof(Settlement.DeadLettered))]
    public void Verdict_of_the_application_wins(ResponseVerdict verdict, int status, string settlement)
    {
        var decided = Decide(new Answer { StatusCode = status, Verdict = verdict, RedirectedTo = "https://elsewhere.test/" });

        AssertIs(settlement, null, decided);
        Assert.NotEqual(OriginReport.Rejected, decided.Origin);
    }

    [Fact]
    public void Failure_of_ClassifyResponse_is_a_failed_attempt()
    {
        var retry = Assert.IsType<Settlement.Retry>(Decide(new Answer { StatusCode = 200, VerdictFailure = "ClassifyResponse failed." }));

        Assert.Equal(("ClassifyResponse failed.", true), (retry.Error, retry.CountsAsAttempt));
    }

    [Theory]
    [InlineData(503)]
    [InlineData(401)]
    public void Attempts_are_unlimited_by_default(int status)
    {
        var settlement = OutcomeRules.Decide(
            _entry with { Attempts = 1_000_000 }, _sent, new Answer { StatusCode = status }, _options);

        Assert.IsNotType<Settlement.DeadLettered>(settlement);
    }

    [Theory]
    [InlineData(503)]
    [InlineData(401)]
    public void MaxAttempts_ends_an_entry(int status)
    {
        _options.Retry.MaxAttempts = 3;

        var settlement = OutcomeRules.Decide(_entry with { Attempts = 2 }, _sent, new Answer { StatusCode = status }, _options);

        Assert.Equal(DeadLetterCause.Exhausted, Assert.IsType<Settlement.DeadLettered>(settlement).Cause);
    }

    [Fact]
    public void SkipAfterAttempts_lets_the_lane_go_on()
    {
        _options.Retry.SkipAfterAttempts = 2;

        Assert.False(Assert.IsType<Settlement.Retry>(Decide(new Answer { StatusCode = 503 })).LeavesLane);
        var second = OutcomeRules.Decide(_entry with { Attempts = 1 }, _sent, new Answer { StatusCode = 503 }, _options);
        Assert.True(Assert.IsType<Settlement.Retry>(second).LeavesLane);
        var inOwnLane = OutcomeRules.Decide(_entry with { Attempts = 1, Lane = "a#1" }, _sent, new Answer { StatusCode = 503 }, _options);
        Assert.False(Assert.IsType<Settlement.Retry>(inOwnLane).LeavesLane);
    }

    [Theory]
    // The request never left.
    [InlineData(FailureVerdict.NotSent, false, true, true, true, nameof(Settlement.Retry), nameof(OriginReport.Unreachable), false)]
    [InlineData(FailureVerdict.NotSent, false, true, false, false, nameof(Settlement.Retry), nameof(OriginReport.Unreachable), false)]
    // It waited for a connection: behind others, or alone.
    [InlineData(FailureVerdict.MaybeProcessed, true, false, false, true, nameof(Settlement.Retry), nameof(OriginReport.Congested), false)]
    [InlineData(FailureVerdict.MaybeProcessed, true, false, false, false, nameof(Settlement.Retry), nameof(OriginReport.Congested), false)]
    [InlineData(FailureVerdict.MaybeProcessed, true, false, true, true, nameof(Settlement.Retry), nameof(OriginReport.Unreachable), false)]
    [InlineData(FailureVerdict.MaybeProcessed, true, false, true, false, nameof(Settlement.Retry), nameof(OriginReport.Unreachable), false)]
    // The server was silent.
    [InlineData(FailureVerdict.MaybeProcessed, true, true, true, true, nameof(Settlement.Retry), nameof(OriginReport.Silent), true)]
    [InlineData(FailureVerdict.MaybeProcessed, true, true, false, true, nameof(Settlement.Retry), nameof(OriginReport.Silent), true)]
    [InlineData(FailureVerdict.MaybeProcessed, true, true, true, false, nameof(Settlement.DeadLettered), nameof(OriginReport.Silent), false)]
    // The connection broke.
    [InlineData(FailureVerdict.MaybeProcessed, false, true, true, true, nameof(Settlement.Retry), nameof(OriginReport.None), true)]
    [InlineData(FailureVerdict.MaybeProcessed, false, true, true, false, nameof(Settlement.DeadLettered), nameof(OriginReport.None), false)]
    // A proven defect.
    [InlineData(FailureVerdict.DoNotQueue, false, true, true, true, nameof(Settlement.DeadLettered), nameof(OriginReport.None), false)]
    public void Failure_decides(
        FailureVerdict verdict, bool timedOut, bool asked, bool alone, bool repeatable, string settlement, string origin, bool counts)
    {
        var failure = new AttemptFailure(new IOException("broken"), "broken", verdict, timedOut, asked, alone);

        var decided = OutcomeRules.Decide(_entry, _sent with { IsRepeatable = repeatable }, failure, _options);

        AssertIs(settlement, origin, decided);
        Assert.Equal(counts, decided is Settlement.Retry { CountsAsAttempt: true });
    }

    [Theory]
    [InlineData(HttpRequestError.UserAuthenticationError, null, nameof(Settlement.Held))]
    [InlineData(HttpRequestError.ProxyTunnelError, HttpStatusCode.ProxyAuthenticationRequired, nameof(Settlement.Held))]
    [InlineData(HttpRequestError.ProxyTunnelError, HttpStatusCode.Forbidden, nameof(Settlement.Retry))]
    [InlineData(HttpRequestError.VersionNegotiationError, null, nameof(Settlement.Retry))]
    [InlineData(HttpRequestError.ExtendedConnectNotSupported, null, nameof(Settlement.Retry))]
    public void Configuration_that_can_change_keeps_the_entry(HttpRequestError error, HttpStatusCode? status, string settlement)
    {
        var exception = new HttpRequestException(error, "no", null, status);
        var failure = new AttemptFailure(exception, "no", FailureVerdict.DoNotQueue, false, true, true);

        AssertIs(settlement, null, OutcomeRules.Decide(_entry, _sent, failure, _options));
    }

    [Fact]
    public void Damaged_body_is_unreadable()
    {
        var failure = new AttemptFailure(
            new HttpRequestException("x", new InvalidDataException("damaged")), "damaged", FailureVerdict.MaybeProcessed, false, true, true);

        var dead = Assert.IsType<Settlement.DeadLettered>(OutcomeRules.Decide(_entry, _sent, failure, _options));

        Assert.Equal(DeadLetterCause.Unreadable, dead.Cause);
    }

    [Fact]
    public void Attempt_that_a_stop_breaks_off_ends_as_a_time_out_does()
    {
        Assert.Equal(new Settlement.Released(WasSent: false), OutcomeRules.DecideBrokenOff(null));
        Assert.Equal(new Settlement.Released(WasSent: true), OutcomeRules.DecideBrokenOff(_sent));
        var dead = Assert.IsType<Settlement.DeadLettered>(OutcomeRules.DecideBrokenOff(_sent with { IsRepeatable = false }));
        Assert.Equal(DeadLetterCause.MaybeProcessed, dead.Cause);
    }

    private Settlement Decide(Answer answer) => OutcomeRules.Decide(_entry, _sent, answer, _options);

    private static void AssertIs(string settlement, string? origin, Settlement actual)
    {
        Assert.Equal(settlement, actual.GetType().Name);
        if (origin is not null)
        {
            Assert.Equal(origin, actual.Origin.ToString());
        }
    }
}

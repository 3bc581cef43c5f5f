using BgSync.Http.Connectivity;
using Xunit;
using static BgSync.Http.Connectivity.OriginCircuit;

namespace BgSync.Http.Tests.Connectivity;

/// <summary>The circuit of one origin as a value: its transitions, without a clock.</summary>
public sealed class OriginCircuitTests
{
    private readonly BackgroundSyncOptions _options = new() { Randomizer = static () => 1 };

    /// <summary>A circuit whose probe is under way since the start.</summary>
    private OriginCircuit Probing => new OriginCircuit().Admit(1, int.MaxValue, _options, At(0), out _);

    private static BackgroundSyncOptions WithFixedWaits
    {
        get
        {
            var options = new BackgroundSyncOptions();
            options.Retry.Delays.Add(TimeSpan.FromMinutes(1));
            options.Retry.Delays.Add(Timeout.InfiniteTimeSpan);
            return options;
        }
    }

    [Fact]
    public void New_circuit_is_open_without_a_wait_and_becomes_half_open_with_its_probe()
    {
        var circuit = new OriginCircuit();
        Assert.Equal(CircuitState.Open, circuit.State);
        Assert.Equal(TimeSpan.Zero, circuit.OpenUntil(_options));

        circuit = circuit.Admit(8, int.MaxValue, _options, At(0), out var admitted);

        Assert.Equal((CircuitState.HalfOpen, 1), (circuit.State, admitted));
        Assert.True(circuit.IsAlone);
        Assert.False(circuit.CanContinue);
    }

    [Theory]
    [InlineData(nameof(OriginReport.Succeeded), CircuitState.Closed, 0)]
    [InlineData(nameof(OriginReport.Answered), CircuitState.Closed, 0)]
    [InlineData(nameof(OriginReport.Rejected), CircuitState.Closed, 0)]
    [InlineData(nameof(OriginReport.Unreachable), CircuitState.Open, 11)]
    [InlineData(nameof(OriginReport.Held), CircuitState.Open, 11)]
    [InlineData(nameof(OriginReport.Silent), CircuitState.Open, 11)]
    [InlineData(nameof(OriginReport.Interrupted), CircuitState.Open, 0)]
    [InlineData(nameof(OriginReport.Congested), CircuitState.HalfOpen, 0)]
    [InlineData(nameof(OriginReport.None), CircuitState.HalfOpen, 0)]
    internal void Report_of_a_probe_closes_or_opens_the_circuit(string report, CircuitState state, int until)
    {
        var circuit = After(Probing, Enum.Parse<OriginReport>(report), 10);

        Assert.Equal((state, At(until)), (circuit.State, circuit.OpenUntil(_options)));
    }

    [Theory]
    [InlineData(nameof(OriginReport.Succeeded), true)]
    [InlineData(nameof(OriginReport.Interrupted), true)]
    [InlineData(nameof(OriginReport.Unreachable), false)]
    [InlineData(nameof(OriginReport.Congested), false)]
    public void News_are_told_when_more_may_be_sent_than_before(string report, bool hasNews) =>
        Assert.Equal(hasNews, After(Probing, Enum.Parse<OriginReport>(report), 1).HasNews);

    [Fact]
    public void Many_that_fail_together_are_one_failure()
    {
        var circuit = After(Probing, OriginReport.Unreachable, 10);

        Assert.Equal(circuit, After(circuit, OriginReport.Unreachable, 10.5));
        Assert.Equal(At(13), After(circuit, OriginReport.Unreachable, 11).OpenUntil(_options));
    }

    [Fact]
    public void Queues_with_fixed_waits_count_their_own_failures_and_the_others_share_theirs()
    {
        var (first, second) = (WithFixedWaits, WithFixedWaits);
        var circuit = new OriginCircuit().AfterLive(statusCode: null, first, At(10));

        Assert.Equal(At(70), circuit.OpenUntil(first));
        Assert.Equal(TimeSpan.Zero, circuit.OpenUntil(second));
        Assert.Equal(TimeSpan.Zero, circuit.OpenUntil(_options));

        circuit = circuit.AfterLive(statusCode: null, _options, At(20));
        Assert.Equal(At(21), circuit.OpenUntil(new() { Randomizer = static () => 0 }));
        Assert.Equal(At(70), circuit.OpenUntil(first));
    }

    [Fact]
    public void Endless_wait_ends_by_a_trigger_and_its_schedule_begins_anew()
    {
        var options = WithFixedWaits;
        var circuit = new OriginCircuit().AfterLive(null, options, At(0)).AfterLive(null, options, At(60));
        Assert.Equal(TimeSpan.MaxValue, circuit.OpenUntil(options));

        Assert.Equal(TimeSpan.Zero, circuit.EndTriggerOnlyBackoff(options).OpenUntil(options));
        Assert.Equal(At(160), circuit.AfterLive(null, options, At(100)).OpenUntil(options));
    }

    /// <summary>Also one that has not looked at the origin before.</summary>
    [Fact]
    public void Retry_After_holds_the_origin_for_every_queue()
    {
        var circuit = Probing.After(OriginReport.Answered, TimeSpan.FromSeconds(30), _options, At(0), At(10));
        BackgroundSyncOptions[] queues = [_options, WithFixedWaits];

        Assert.All(queues, options => Assert.Equal(At(40), circuit.OpenUntil(options)));
        Assert.All(queues, options => Assert.Equal(At(40), circuit.RetryAfter(TimeSpan.Zero, options, At(20)).OpenUntil(options)));
        Assert.Equal(circuit, circuit.AfterLive(200, _options, At(20)));
    }

    [Fact]
    public void Network_event_shortens_a_wait_and_never_makes_it_longer()
    {
        var circuit = After(Probing, OriginReport.Unreachable, 10);

        Assert.Equal(At(10.25), circuit.RetryAfter(TimeSpan.FromSeconds(0.25), _options, At(10)).OpenUntil(_options));
        Assert.Equal(At(11), circuit.RetryAfter(TimeSpan.FromSeconds(5), _options, At(10)).OpenUntil(_options));
    }

    [Fact]
    public void Probe_hangs_when_the_network_changes_a_second_after_its_begin()
    {
        Assert.False(Probing.IsProbeHanging(At(0.5)));
        Assert.True(Probing.IsProbeHanging(At(1)));
        Assert.False(After(Probing, OriginReport.Succeeded, 1).IsProbeHanging(At(9)));
    }

    [Fact]
    public void Time_out_is_remembered_for_two_minutes()
    {
        Assert.False(Probing.HasTimedOut(At(0)));
        var circuit = After(Probing, OriginReport.Silent, 10);
        Assert.True(circuit.HasTimedOut(At(129)));
        Assert.False(circuit.HasTimedOut(At(130)));
    }

    private static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);

    private OriginCircuit After(OriginCircuit circuit, OriginReport report, double at) =>
        circuit.After(report, requested: null, _options, begunAt: At(0), now: At(at));
}

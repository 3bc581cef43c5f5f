using BgSync.Http.Diagnostics;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Memory;
using BgSync.Http.Tests.Replay;
using Microsoft.Extensions.DependencyInjection;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.Diagnostics;

/// <summary>Texts of others in the log: neither a message nor a printed exception bears a control character.</summary>
public sealed class LoggedTextTests : ReplayFixture
{
    // Sets the title of a terminal.
    private const string Hostile = "\u001b]0;owned\u0007";

    private const string Clean = "\uFFFD]0;owned\uFFFD";

    [Fact]
    public async Task Exceptions_of_a_store_are_logged_without_control_characters()
    {
        await using var server = new RawServer(RawServer.Sequence(Scripts.Respond(200), Scripts.Respond(503), Scripts.Respond(200)));
        var store = new FaultyStore(new MemoryQueueStore(Clock));
        var failing = new HashSet<string>
        {
            nameof(FaultyStore.Subscribe),
            nameof(FaultyStore.GetScheduleAsync),
            FaultyStore.Complete,
            FaultyStore.Reschedule,
        };
        store.Before = operation =>
        {
            lock (failing)
            {
                if (failing.Remove(operation))
                {
                    throw operation == FaultyStore.Reschedule
                        ? new InvalidOperationException(Hostile)
                        : new QueueStoreException(StoreFault.Unavailable, Hostile, new IOException(Hostile));
                }
            }
        };
        await using var app = Create(services: services => services.AddSingleton<IQueueStore>(store));
        await app.Sync.StartAsync();
        await QueueWhileDownAsync(app, server, "1", "2");

        await AdvanceUntilAsync(() => app.Logs.Lines.Count(static line => line.EventId == 2003) == 2, "both are delivered");

        AssertFit(app, 3041, 3001, 3012, 3010);
    }

    [Fact]
    public async Task Exceptions_of_hooks_observers_and_the_network_are_logged_without_control_characters()
    {
        await using var server = new RawServer(Scripts.Respond(200));
        await using var app = Create(
            static sync =>
            {
                sync.OnReplayed = static (_, _) => throw new InvalidOperationException("No.", new IOException(Hostile));
                sync.OnSync = static async (context, token) =>
                {
                    await context.ReplayAsync(token);
                    throw new AggregateException(new IOException("No."), new IOException(Hostile));
                };
            },
            services: static services => services
                .AddSingleton<IBackgroundSyncObserver>(new HostileObserver())
                .AddSingleton<INetworkStatus>(new HostileNetwork()));
        await app.Sync.StartAsync();
        await QueueWhileDownAsync(app, server, "1");

        await AdvanceUntilAsync(
            () => app.Logs.Lines.Any(static line => line.EventId == 3030) && app.Logs.Lines.Any(static line => line.EventId == 2020),
            "all have failed");

        AssertFit(app, 3020, 3030, 2020, 3040);
    }

    [Fact]
    public void Exception_that_is_fit_to_be_printed_is_logged_itself()
    {
        var failure = Thrown(new InvalidOperationException("No.", new IOException("ä, 日本")));

        Assert.Same(failure, LoggedException.Of(failure));
    }

    [Fact]
    public void Exception_keeps_its_type_its_cause_and_its_stack_trace_in_the_log()
    {
        var failure = Thrown(new InvalidOperationException("Outer.", new IOException(Hostile)));

        var logged = LoggedException.Of(failure)!;

        Assert.Equal("System.InvalidOperationException: Outer.", logged.Message);
        Assert.Equal($"System.IO.IOException: {Clean}", logged.InnerException!.Message);
        Assert.Equal(failure.StackTrace, logged.StackTrace);
        Assert.Contains(nameof(Thrown), logged.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a line\nand another")]
    [InlineData("Bearer s3cr3t-token")]
    public void Exception_whose_message_forges_a_line_or_quotes_a_secret_is_not_logged_itself(string message) =>
        Assert.DoesNotContain(message, LoggedException.Of(new IOException(message))!.ToString(), StringComparison.Ordinal);

    [Fact]
    public void Exception_that_quotes_the_value_of_a_header_is_not_logged_itself() =>
        Assert.DoesNotContain("s3cr3t", LoggedException.Of(new FormatException("'s3cr3t' is no value."))!.ToString(), StringComparison.Ordinal);

    [Fact]
    public void Exception_that_prints_more_than_its_message_is_not_logged_itself() =>
        Assert.DoesNotContain(Hostile, LoggedException.Of(new TalkativeException())!.ToString(), StringComparison.Ordinal);

    private static void AssertFit(TestApplication app, params int[] ids)
    {
        var lines = app.Logs.Lines.Where(static line => line.Category.StartsWith("BgSync", StringComparison.Ordinal)).ToArray();
        Assert.All(ids, id => Assert.Contains(
            lines, line => line.EventId == id && $"{line.Message}{line.Exception}".Contains(Clean, StringComparison.Ordinal)));
        Assert.All(lines, static line => Assert.DoesNotContain(
            $"{line.Message}{line.Exception?.ToString().ReplaceLineEndings("")}", static letter => char.IsControl(letter)));
    }

    private static Exception Thrown(Exception failure)
    {
        try
        {
            throw failure;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    private sealed class HostileObserver : IBackgroundSyncObserver
    {
        public Task OnEventAsync(EntryEvent entryEvent, CancellationToken cancellationToken) => throw new InvalidOperationException(Hostile);
    }

    private sealed class HostileNetwork : INetworkStatus
    {
        public IDisposable Subscribe(Action<NetworkSignal> onSignal) => throw new PlatformNotSupportedException(Hostile);
    }

    private sealed class TalkativeException() : Exception("No.")
    {
        public override string ToString() => Hostile;
    }
}

using System.Collections.Concurrent;
using BgSync.Http.Queue;
using Microsoft.Extensions.Options;

namespace BgSync.Http.Replay;

/// <summary>
/// Takes over the time-outs of the clients that have queues: inside a handler <see cref="HttpClient.Timeout"/> cannot be told from
/// a cancel by the caller, so the queue keeps the time of each attempt itself.
/// </summary>
internal sealed class ClientTimeouts(QueueRegistrations registrations, IOptionsMonitor<BackgroundSyncOptions> options)
{
    /// <summary>By how much a client's own time-out is lifted: time enough to write the request to the queue.</summary>
    private static readonly TimeSpan _margin = TimeSpan.FromSeconds(30);

    /// <summary>The longest time-out that <see cref="HttpClient"/> takes.</summary>
    private static readonly TimeSpan _longest = TimeSpan.FromMilliseconds(int.MaxValue);

    /// <summary>The framework's default, until the first client was made.</summary>
    private static readonly TimeSpan _default = TimeSpan.FromSeconds(100);

    private readonly ConcurrentDictionary<string, TimeSpan> _taken = new(StringComparer.Ordinal);

    /// <summary>How long an attempt of a client may take, where the queue's options do not say.</summary>
    public TimeSpan Of(string client) => _taken.GetValueOrDefault(client, _default);

    /// <summary>Takes over the time-out that a client was configured with, and lifts it just above the longest attempt.</summary>
    public void TakeOver(string name, HttpClient client)
    {
        var configured = client.Timeout;
        _taken[name] = configured;
        if (configured == Timeout.InfiniteTimeSpan)
        {
            return;
        }

        var longest = configured;
        foreach (var queue in registrations.QueuesOf(name))
        {
            var attempt = LongestOf(options.Get(queue), configured);
            longest = attempt == Timeout.InfiniteTimeSpan || attempt > longest ? attempt : longest;
            if (longest == Timeout.InfiniteTimeSpan)
            {
                break;
            }
        }

        client.Timeout = longest == Timeout.InfiniteTimeSpan || longest > _longest - _margin
            ? Timeout.InfiniteTimeSpan
            : longest + _margin;
    }

    /// <summary>
    /// How long a live request may take. One that may not overtake waits for those before it as long as it is sent; one that is
    /// written down first may take as long again for its body to be read; and a caller may wait for the response after that.
    /// </summary>
    private static TimeSpan LongestOf(BackgroundSyncOptions options, TimeSpan configured)
    {
        var attempt = options.AttemptTimeout ?? configured;
        var wait = options.WhenQueued == WhenQueued.Wait ? options.WaitTimeout : TimeSpan.Zero;
        var times = 1 + (options.Overtaking == Overtaking.Allowed ? 0 : 1) + (options.WriteAhead ? 1 : 0);
        return attempt == Timeout.InfiniteTimeSpan || wait == Timeout.InfiniteTimeSpan
            ? Timeout.InfiniteTimeSpan
            : (times * attempt) + wait;
    }
}

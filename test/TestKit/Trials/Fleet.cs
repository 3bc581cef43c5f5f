namespace TestKit.Trials;

/// <summary>Processes of one application that share a queue.</summary>
internal sealed class Fleet(TrialStore store, string server, int producers, int leaseSeconds) : IAsyncDisposable
{
    private static readonly TimeSpan _drainDeadline = TimeSpan.FromMinutes(3);

    private readonly List<Member> _members = [];
    private readonly HashSet<string> _killed = [];

    public IReadOnlyList<Member> Living => [.. _members.Where(member => !_killed.Contains(member.Sender))];

    /// <summary>The senders that were killed.</summary>
    public IReadOnlySet<string> Killed => _killed;

    public IReadOnlyList<QueuedItem> Queued => [.. _members.SelectMany(member => member.Process.Queued)];

    /// <summary>The rest of all their lines that begin with a word.</summary>
    public IReadOnlyList<string> Said(string word) => [.. _members.SelectMany(member => member.Process.Said(word))];

    /// <summary>Starts more of them side by side, named p0, p1 and so on.</summary>
    public async Task StartAsync(int count)
    {
        var starting = Enumerable.Range(_members.Count, count).Select(number => $"p{number}").Select(async sender =>
            new Member(sender, await store.StartAsync(server, sender, producers, leaseSeconds)));
        _members.AddRange(await Task.WhenAll(starting));
    }

    public async Task KillAsync(Member member)
    {
        await member.Process.KillAsync();
        _killed.Add(member.Sender);
    }

    /// <summary>Waits until a condition holds of them all.</summary>
    public Task WaitAsync(Func<bool> condition, TimeSpan deadline, string what) => Eventually.TrueAsync(
        condition, deadline, () => string.Join(Environment.NewLine, Living.Select(member => member.Process).Prepend<object>(what)));

    /// <summary>Whether a condition comes to hold before a deadline.</summary>
    public async Task<bool> HoldsAsync(Func<bool> condition, TimeSpan deadline)
    {
        try
        {
            await WaitAsync(condition, deadline, "");
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Lets all that live post nothing more and send what is left.</summary>
    public async Task DrainAsync()
    {
        foreach (var member in Living)
        {
            member.Process.Tell("drain");
        }

        foreach (var member in Living)
        {
            await member.Process.WaitForLineAsync("EMPTY", _drainDeadline);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var member in _members)
        {
            await member.Process.DisposeAsync();
        }
    }

    public sealed record Member(string Sender, TrialProcess Process);
}

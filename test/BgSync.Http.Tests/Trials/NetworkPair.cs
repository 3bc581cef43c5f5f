using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using TestKit;

namespace BgSync.Http.Tests.Trials;

/// <summary>
/// Two network namespaces joined by a cable, which is a veth pair: a real link that goes down and up
/// (<see href="https://man7.org/linux/man-pages/man8/ip-netns.8.html">ip-netns(8)</see>).
/// </summary>
internal sealed class NetworkPair : IAsyncDisposable
{
    private const string Prefix = "bgsync-";
    private const string ServerLink = "server0";
    private const string ApplicationLink = "app0";

    private static int _created;

    private NetworkPair(string name)
    {
        ServerNamespace = $"{name}-server";
        ApplicationNamespace = $"{name}-app";
    }

    public string ServerNamespace { get; }

    public string ApplicationNamespace { get; }

    /// <summary>Where the server is to listen; both namespaces are of their own, so the addresses collide with nobody's.</summary>
    public static string ServerEndPoint => "10.250.1.1:8080";

    /// <summary>Makes a pair, or skips the test where that is not permitted (fails it where the trials are required).</summary>
    public static async Task<NetworkPair> CreateAsync()
    {
        var pair = new NetworkPair($"{Prefix}{Environment.ProcessId}-{Interlocked.Increment(ref _created)}");
        try
        {
            await RemoveLeftOversAsync();
            await pair.BuildAsync();
            return pair;
        }
        catch (Exception failure) when (failure is Win32Exception or IpFailedException)
        {
            await pair.DisposeAsync();
            Unpermitted.Skip($"Network namespaces cannot be made here: {failure.Message}", failure);
            throw;
        }
    }

    /// <summary>Takes the link down as <paramref name="loss"/> says.</summary>
    public Task LoseAsync(LinkLoss loss) => SetAsync(loss, "down");

    /// <summary>Brings the link up again.</summary>
    public Task RestoreAsync(LinkLoss loss) => SetAsync(loss, "up");

    public async ValueTask DisposeAsync()
    {
        await RemoveAsync(ServerNamespace);
        await RemoveAsync(ApplicationNamespace);
    }

    private async Task BuildAsync()
    {
        await IpAsync("netns", "add", ServerNamespace);
        await IpAsync("netns", "add", ApplicationNamespace);
        await IpAsync(
            [
                "link", "add", ServerLink, "netns", ServerNamespace,
                "type", "veth", "peer", "name", ApplicationLink, "netns", ApplicationNamespace,
            ]);
        foreach ((string name, string link, string address) in (IEnumerable<(string, string, string)>)
            [(ServerNamespace, ServerLink, "10.250.1.1/24"), (ApplicationNamespace, ApplicationLink, "10.250.1.2/24")])
        {
            await IpAsync("-n", name, "addr", "add", address, "dev", link);
            await IpAsync("-n", name, "link", "set", "lo", "up");
            await IpAsync("-n", name, "link", "set", link, "up");
        }
    }

    private Task<string> SetAsync(LinkLoss loss, string state) => loss == LinkLoss.InterfaceDown
        ? IpAsync("-n", ApplicationNamespace, "link", "set", ApplicationLink, state)
        : IpAsync("-n", ServerNamespace, "link", "set", ServerLink, state);

    /// <summary>A test run that was killed leaves its namespaces; they are known by the id of a process that is gone.</summary>
    private static async Task RemoveLeftOversAsync()
    {
        foreach (var line in (await IpAsync("netns", "list")).Split('\n'))
        {
            var name = line.Split(' ')[0];
            if (name.StartsWith(Prefix, StringComparison.Ordinal)
                && int.TryParse(name.Split('-')[1], CultureInfo.InvariantCulture, out int owner)
                && !Directory.Exists($"/proc/{owner}"))
            {
                await RemoveAsync(name);
            }
        }
    }

    private static async Task RemoveAsync(string name)
    {
        try
        {
            await IpAsync("netns", "delete", name);
        }
        catch (Exception failure) when (failure is Win32Exception or IpFailedException)
        {
            // It was never made.
        }
    }

    private static async Task<string> IpAsync(params IEnumerable<string> arguments)
    {
        using var ip = Process.Start(new ProcessStartInfo("ip", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = ip.StandardError.ReadToEndAsync();
        var output = await ip.StandardOutput.ReadToEndAsync();
        await ip.WaitForExitAsync();
        return ip.ExitCode == 0 ? output : throw new IpFailedException($"ip {string.Join(' ', arguments)}: {(await errors).Trim()}");
    }

    private sealed class IpFailedException(string message) : Exception(message);
}

using System.ComponentModel;
using System.Diagnostics;
using System.Security.Cryptography;
using TestKit;

namespace BgSync.Http.Tests.Connectivity;

/// <summary>Two virtual network interfaces joined by a cable (veth), so that each is up when both are; gone when disposed of.</summary>
internal sealed class InterfacePair : IAsyncDisposable
{
    private readonly string _near = "bgs" + RandomNumberGenerator.GetHexString(8, lowercase: true);

    private string Far => _near + "p";

    /// <summary>Makes a pair; skips the test, and says why, where the system does not let it.</summary>
    public static async Task<InterfacePair> CreateAsync()
    {
        var pair = new InterfacePair();
        try
        {
            await IpAsync("link", "add", pair._near, "type", "veth", "peer", "name", pair.Far);
        }
        catch (Exception failure) when (failure is Win32Exception or InvalidOperationException)
        {
            Unpermitted.Skip($"No network interface can be made here: {failure.Message}", failure);
        }

        return pair;
    }

    /// <summary>Brings both ends up, with an address that nobody uses.</summary>
    public async Task BringUpAsync()
    {
        await IpAsync("link", "set", Far, "up");
        await IpAsync("link", "set", _near, "up");

        var (third, fourth) = (RandomNumberGenerator.GetInt32(256), RandomNumberGenerator.GetInt32(256));
        await IpAsync("address", "add", $"10.255.{third}.{fourth}/32", "dev", _near);
    }

    public async ValueTask DisposeAsync() => await IpAsync("link", "delete", _near);

    private static async Task IpAsync(params string[] arguments)
    {
        using var ip = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardError = true })!;
        var error = await ip.StandardError.ReadToEndAsync(CancellationToken.None);
        await ip.WaitForExitAsync(CancellationToken.None);
        if (ip.ExitCode != 0)
        {
            throw new InvalidOperationException($"ip {string.Join(' ', arguments)}: {error.Trim()}");
        }
    }
}

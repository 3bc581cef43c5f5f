using System.Diagnostics;

namespace TestKit.PostgreSql;

/// <summary>The account that runs the server: PostgreSQL refuses root, so that tests of root run it as somebody else.</summary>
internal sealed class ServerAccount
{
    private static readonly string[] _candidates = ["postgres", "nobody"];

    private readonly string[] _prefix = [];

    public ServerAccount()
    {
        if (Environment.IsPrivilegedProcess)
        {
            var account = File.ReadLines("/etc/passwd").Select(static line => line.Split(':'))
                .Where(static account => _candidates.Contains(account[0]))
                .MinBy(static account => Array.IndexOf(_candidates, account[0]))
                ?? throw new InvalidOperationException("PostgreSQL does not run as root, and there is no account 'nobody' to run it as.");
            Owner = $"{account[2]}:{account[3]}";
            _prefix = ["setpriv", "--reuid", account[2], "--regid", account[3], "--clear-groups"];
        }
    }

    /// <summary>Its name for <c>chown</c>; <see langword="null"/> when it is the account that runs the tests.</summary>
    public string? Owner { get; }

    /// <summary>A program as it is started under the account.</summary>
    public ProcessStartInfo Start(string folder, params IEnumerable<string> command)
    {
        string[] all = [.. _prefix, .. command];
        return new ProcessStartInfo(all[0], all[1..]) { WorkingDirectory = folder, Environment = { ["LC_ALL"] = "C" } };
    }
}

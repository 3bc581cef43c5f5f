using BgSync.Http.Testing;
using Xunit;

namespace BgSync.Http.Tests.Conventions;

/// <summary>What others build on changes only on purpose.</summary>
public sealed class PublicApiTests
{
    private const string Baseline = "test/BgSync.Http.Tests/Conventions/PublicApi.txt";
    private const string Accept = "BGSYNC_ACCEPT_API";

    [Fact]
    public void The_public_API_is_the_one_that_was_accepted()
    {
        string[] actual = [.. PublicApi.Of(typeof(BackgroundSyncOptions).Assembly)];
        if (Environment.GetEnvironmentVariable(Accept) == "1")
        {
            File.WriteAllLines(SourceTree.PathOf(Baseline), actual);
        }

        var accepted = File.ReadAllLines(SourceTree.PathOf(Baseline));

        Assert.True(
            accepted.SequenceEqual(actual),
            $"""
             The public API has changed:
             {string.Join('\n', Difference(accepted, actual))}
             If that is meant, run this test with {Accept}=1 and commit {Baseline}.
             """);
    }

    /// <summary>The lines that only one side has, each under its type.</summary>
    private static IEnumerable<string> Difference(string[] accepted, string[] actual)
    {
        var (before, after) = (WithTypes(accepted), WithTypes(actual));
        return before.Except(after).Select(static line => "- " + line).Concat(after.Except(before).Select(static line => "+ " + line));
    }

    private static string[] WithTypes(string[] lines)
    {
        var type = "";
        return [.. lines.Select(line => line.StartsWith(' ') ? $"{type}: {line.Trim()}" : type = line)];
    }
}

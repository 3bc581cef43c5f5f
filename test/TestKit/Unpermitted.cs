using System.Diagnostics.CodeAnalysis;
using Xunit;

namespace TestKit;

/// <summary>Permissions that a test needs of the machine and is not given.</summary>
internal static class Unpermitted
{
    /// <summary>Skips the test with the reason; fails it where everything is required, as <c>.ci/run</c> does.</summary>
    [DoesNotReturn]
    public static void Skip(string reason, Exception? cause = null)
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("BGSYNC_REQUIRE_TRIALS") == "1", reason);
        throw new InvalidOperationException(reason, cause);
    }
}

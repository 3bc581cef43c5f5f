using System.Globalization;

namespace TestKit.Trials;

/// <summary>How long a trial goes on: short by default, <c>full</c> or a number by <c>BGSYNC_TRIAL_ROUNDS</c>.</summary>
internal static class TrialRounds
{
    public static int Of(int shortRun, int fullRun) => Environment.GetEnvironmentVariable("BGSYNC_TRIAL_ROUNDS") switch
    {
        null or "" => shortRun,
        "full" => fullRun,
        string rounds => int.Parse(rounds, CultureInfo.InvariantCulture),
    };
}

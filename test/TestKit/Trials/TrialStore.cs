namespace TestKit.Trials;

/// <summary>How a process under trial is told its store.</summary>
/// <param name="Description">The store, as the command line has it.</param>
/// <param name="Application">The assembly that understands it, built beside the tests.</param>
public sealed record TrialStore(string Description, string Application = TrialStore.TestApp)
{
    private const string TestApp = "BgSync.Http.TestApp.dll";

    /// <summary>Starts an application that posts without a pause, each producer to a lane of its own number, and replays.</summary>
    internal Task<TrialProcess> StartAsync(string server, string sender, int producers, int leaseSeconds) =>
        TrialProcess.StartAppAsync(Application, "queue-and-replay", Description, server, sender, $"{producers}", $"{leaseSeconds}");

    /// <summary>Starts an application that posts what it is told to, written down first or not.</summary>
    internal Task<TrialProcess> StartPostingAsync(string server, string sender, bool writeAhead) =>
        TrialProcess.StartAppAsync(Application, "post", Description, server, sender, $"{writeAhead}");
}

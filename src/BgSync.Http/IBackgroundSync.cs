namespace BgSync.Http;

/// <summary>
/// Sends what is queued, of every queue of the application. A generic host starts and stops it by itself; an application without
/// one (WPF, MAUI, a console) calls <see cref="StartAsync"/> and <see cref="StopAsync"/>.
/// </summary>
/// <remarks>Thread-safe.</remarks>
public interface IBackgroundSync
{
    /// <summary>Starts to listen for triggers and to send; returns at once. A second start does nothing.</summary>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">The options of a queue are not valid.</exception>
    Task StartAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Stops: takes up nothing new, waits up to <see cref="BackgroundSyncReplayOptions.ShutdownGrace"/>, or until
    /// <paramref name="cancellationToken"/>, for what is under way, then breaks it off and gives it back. Nothing is lost.
    /// Callers that wait for their entries (<see cref="WhenQueued.Wait"/>) are told at once that these are queued.
    /// </summary>
    Task StopAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Sends now all that can be sent now, whatever the backoff says; a wait that a server asked for is kept. Runs also when not
    /// started, for the background task of a phone that is given some seconds.
    /// </summary>
    /// <param name="deadline">How long it may take; <see cref="Timeout.InfiniteTimeSpan"/> for no limit. What is under way then
    /// is given back when not started, and goes on otherwise.</param>
    /// <param name="cancellationToken">Ends the wait, as the deadline does, with an exception.</param>
    Task<ReplaySummary> ReplayAsync(TimeSpan deadline, CancellationToken cancellationToken = default);
}

using System.Globalization;
using BgSync.Http.Outcomes;
using Microsoft.Extensions.DependencyInjection;

namespace BgSync.Http.Diagnostics;

/// <summary>Calls code of the application that may throw, block, or never return.</summary>
internal static class ApplicationCall
{
    /// <summary>Calls the code with services of a scope that ends with the call.</summary>
    /// <inheritdoc cref="RunAsync(Func{CancellationToken, Task}, TimeSpan, TimeProvider, CancellationToken)"/>
    public static async Task RunAsync(
        Func<IServiceProvider, CancellationToken, Task> code,
        IServiceScopeFactory scopes,
        TimeSpan limit,
        TimeProvider timeProvider,
        CancellationToken cancellationToken)
    {
        var scope = scopes.CreateAsyncScope();
        await using (scope.ConfigureAwait(false))
        {
            await RunAsync(token => code(scope.ServiceProvider, token), limit, timeProvider, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Waits for the code no longer than is allowed; what goes on after that is left to itself.</summary>
    /// <exception cref="TimeoutException">It did not return in time.</exception>
    /// <exception cref="OperationCanceledException">It was broken off by the caller.</exception>
    public static async Task RunAsync(
        Func<CancellationToken, Task> code, TimeSpan limit, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        using var attempt = new Attempt(limit, timeProvider, cancellationToken);
        var token = attempt.Token;
        try
        {
            await Task.Run(() => code(token), CancellationToken.None).WaitAsync(token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (attempt.IsTimedOut)
        {
            throw new TimeoutException(
                string.Create(CultureInfo.InvariantCulture, $"It did not return in {limit.TotalSeconds} seconds."));
        }
    }
}

namespace BgSync.Http.Tests.Trials;

/// <summary>How a network goes away, as the application sees it.</summary>
public enum LinkLoss
{
    /// <summary>The application's own interface goes down: its routes are gone, a connect fails at once.</summary>
    InterfaceDown,

    /// <summary>The cable is pulled at the other end: the routes stay, a connect hangs.</summary>
    CablePulled,
}

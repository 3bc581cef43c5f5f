namespace BgSync.Http;

/// <summary>The cause of a pause.</summary>
public enum PauseCause
{
    /// <summary>The application; only the application resumes it.</summary>
    Application = 1,

    /// <summary>
    /// A response that asked for credentials (401, 407, 511). The next watched live request to succeed resumes it, as does a replay by
    /// hand.
    /// </summary>
    Credentials = 2,
}

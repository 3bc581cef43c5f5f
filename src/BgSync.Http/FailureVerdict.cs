namespace BgSync.Http;

/// <summary>The meaning of a failed attempt for its request.</summary>
public enum FailureVerdict
{
    /// <summary>Sending it again would not help or is not wanted: a local defect, a wrong configuration, the caller's cancel.</summary>
    DoNotQueue,

    /// <summary>The server cannot have seen the request: it is safe to send again, whatever it is.</summary>
    NotSent,

    /// <summary>
    /// The server may have processed the request: it is sent again only when its method is idempotent
    /// (<see href="https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2">RFC 9110, 9.2.2</see>) or it carries an idempotency key.
    /// </summary>
    MaybeProcessed,
}

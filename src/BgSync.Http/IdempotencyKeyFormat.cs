namespace BgSync.Http;

/// <summary>How an idempotency key is written into its header.</summary>
public enum IdempotencyKeyFormat
{
    /// <summary>The bare key, as Stripe, Adyen and most servers expect.</summary>
    Bare,

    /// <summary>
    /// A quoted string, as the draft asks: a Structured Field String
    /// (<see href="https://www.rfc-editor.org/rfc/rfc9651#section-3.3.3">RFC 9651, 3.3.3</see>).
    /// </summary>
    QuotedString,
}

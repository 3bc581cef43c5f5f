namespace TestKit;

/// <summary>
/// The error codes of <see href="https://www.rfc-editor.org/rfc/rfc9113#section-7">RFC 9113, section 7</see>, that tests use.
/// </summary>
public enum Http2ErrorCode
{
    NoError = 0,
    InternalError = 2,
    RefusedStream = 7,
    Cancel = 8,
}

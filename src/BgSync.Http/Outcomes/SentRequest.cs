namespace BgSync.Http.Outcomes;

/// <summary>The facts of a request as it was sent: the application may have changed it before, and a redirect changes it after.</summary>
/// <param name="Method">The method.</param>
/// <param name="Uri">The address.</param>
/// <param name="HasKey">Whether it carries an idempotency key.</param>
/// <param name="IsRepeatable">Whether it may be sent once more when the server may have processed it: it is idempotent or keyed.</param>
/// <param name="AddedExpect">Whether this library added <c>Expect: 100-continue</c>.</param>
internal sealed record SentRequest(HttpMethod Method, Uri Uri, bool HasKey, bool IsRepeatable, bool AddedExpect);

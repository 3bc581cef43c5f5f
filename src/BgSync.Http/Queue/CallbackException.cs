using BgSync.Http.Capture;
using BgSync.Http.Outcomes;

namespace BgSync.Http.Queue;

/// <summary>A function of the application failed that had to be asked before a request could be queued.</summary>
/// <param name="callback">The option that the function was given to.</param>
/// <param name="failure">The failure.</param>
internal sealed class CallbackException(string callback, Exception failure)
    : NotStorableException($"the function of {callback} failed: {FailureText.Of(failure)}", failure);

namespace BgSync.Http.Capture;

/// <summary>A body cannot be read once more; the message completes the sentence "It was not queued, because".</summary>
internal sealed class BodyNotRepeatableException(string reason, Exception? innerException = null)
    : NotStorableException(reason, innerException);

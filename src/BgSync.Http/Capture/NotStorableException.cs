namespace BgSync.Http.Capture;

/// <summary>A request cannot be written down; the message completes the sentence "It was not queued, because".</summary>
internal class NotStorableException(string reason, Exception? innerException = null) : Exception(reason, innerException);

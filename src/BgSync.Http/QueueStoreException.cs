namespace BgSync.Http;

/// <summary>A store could not do what it was asked. The message says what is wrong and what to do about it.</summary>
public sealed class QueueStoreException : Exception
{
    internal QueueStoreException(StoreFault fault, string message, Exception? innerException = null)
        : base(message, innerException) => Fault = fault;

    /// <summary>The kind of failure.</summary>
    public StoreFault Fault { get; }
}

namespace TestKit;

/// <summary>
/// The part of a <see cref="RawServer"/> in one exchange. It runs as soon as a connection is accepted, and again when more bytes
/// arrive on a connection that it left open.
/// </summary>
public delegate Task Script(RawConnection connection, CancellationToken cancellationToken);

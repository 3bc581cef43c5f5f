using System.Buffers.Binary;
using System.Text;

namespace TestKit;

/// <summary>
/// The server's end of an HTTP/2 connection with prior knowledge, one request at a time and frame by frame
/// (<see href="https://www.rfc-editor.org/rfc/rfc9113">RFC 9113</see>).
/// </summary>
public sealed class Http2Connection
{
    private const int PrefaceLength = 24;
    private const int FrameHeaderLength = 9;
    private const byte EndStream = 0x1;
    private const byte Ack = 0x1;
    private const byte EndHeaders = 0x4;

    private readonly Stream _stream;
    private readonly WireReader _reader;
    private readonly Action<RawRequest> _record;

    private Http2Connection(Stream stream, WireReader reader, Action<RawRequest> record)
    {
        _stream = stream;
        _reader = reader;
        _record = record;
    }

    private enum FrameType : byte
    {
        Data = 0,
        Headers = 1,
        ResetStream = 3,
        Settings = 4,
        Ping = 6,
        GoAway = 7,
        WindowUpdate = 8,
        Continuation = 9,
    }

    /// <summary>The stream of the request that was read last; 0 before the first.</summary>
    public int StreamId { get; private set; }

    /// <summary>Reads frames until a request is whole, or its stream is reset by the client.</summary>
    public async Task<RawRequest> ReadRequestAsync(CancellationToken cancellationToken)
    {
        using var block = new MemoryStream();
        using var body = new MemoryStream();
        var complete = false;
        var reset = false;
        var begun = false;
        try
        {
            while (!complete && !reset)
            {
                var frame = await ReadFrameAsync(cancellationToken);
                var ends = (frame.Flags & EndStream) != 0;
                switch (frame.Type)
                {
                    case FrameType.Headers:
                        StreamId = frame.StreamId;
                        begun = true;
                        complete = ends;
                        block.Write(frame.Payload);
                        break;
                    case FrameType.Continuation:
                        block.Write(frame.Payload);
                        break;
                    case FrameType.Data when frame.StreamId == StreamId:
                        complete = ends;
                        body.Write(frame.Payload);
                        await GrantWindowAsync(frame.Payload.Length, cancellationToken);
                        break;
                    case FrameType.ResetStream when frame.StreamId == StreamId:
                        reset = begun;
                        break;
                    case FrameType.Settings when (frame.Flags & Ack) == 0:
                        await WriteFrameAsync(FrameType.Settings, Ack, 0, [], cancellationToken);
                        break;
                    case FrameType.Ping when (frame.Flags & Ack) == 0:
                        await WriteFrameAsync(FrameType.Ping, Ack, 0, frame.Payload, cancellationToken);
                        break;
                }
            }
        }
        finally
        {
            if (begun)
            {
                _record(Assemble());
            }
        }

        return Assemble();

        RawRequest Assemble()
        {
            var headers = Hpack.Decode(block.ToArray());
            var request = new RawRequest("", "", headers, body.ToArray(), complete);
            return request with { Method = request.ValuesOf(":method")[0], Target = request.ValuesOf(":path").FirstOrDefault("") };
        }
    }

    /// <summary>Answers the request that was read last.</summary>
    public async Task RespondAsync(
        int status, string body, IEnumerable<(string Name, string Value)> headers, CancellationToken cancellationToken)
    {
        await WriteFrameAsync(FrameType.Headers, EndHeaders, StreamId, Hpack.EncodeResponse(status, headers), cancellationToken);
        await WriteFrameAsync(FrameType.Data, EndStream, StreamId, Encoding.UTF8.GetBytes(body), cancellationToken);
    }

    /// <summary>Resets the stream of the request that was read last.</summary>
    public Task ResetStreamAsync(Http2ErrorCode code, CancellationToken cancellationToken) =>
        WriteFrameAsync(FrameType.ResetStream, 0, StreamId, Integers((int)code), cancellationToken);

    /// <summary>Says that no stream after <paramref name="lastStreamId"/> was or will be looked at.</summary>
    public Task GoAwayAsync(int lastStreamId, Http2ErrorCode code, CancellationToken cancellationToken) =>
        WriteFrameAsync(FrameType.GoAway, 0, 0, Integers(lastStreamId, (int)code), cancellationToken);

    internal static async Task<Http2Connection> StartAsync(
        Stream stream, WireReader reader, Action<RawRequest> record, CancellationToken cancellationToken)
    {
        var connection = new Http2Connection(stream, reader, record);
        await reader.ReadBlockAsync(PrefaceLength, cancellationToken);
        await connection.WriteFrameAsync(FrameType.Settings, 0, 0, [], cancellationToken);
        return connection;
    }

    private static byte[] Integers(params ReadOnlySpan<int> values)
    {
        var bytes = new byte[values.Length * sizeof(int)];
        for (var i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(i * sizeof(int)), values[i]);
        }

        return bytes;
    }

    private async Task GrantWindowAsync(int bytes, CancellationToken cancellationToken)
    {
        if (bytes > 0)
        {
            await WriteFrameAsync(FrameType.WindowUpdate, 0, 0, Integers(bytes), cancellationToken);
            await WriteFrameAsync(FrameType.WindowUpdate, 0, StreamId, Integers(bytes), cancellationToken);
        }
    }

    private async Task<Frame> ReadFrameAsync(CancellationToken cancellationToken)
    {
        var header = await _reader.ReadBlockAsync(FrameHeaderLength, cancellationToken);
        var length = (header[0] << 16) | (header[1] << 8) | header[2];
        var payload = await _reader.ReadBlockAsync(length, cancellationToken);
        return new Frame((FrameType)header[3], header[4], BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(5)), payload);
    }

    private async Task WriteFrameAsync(FrameType type, byte flags, int streamId, byte[] payload, CancellationToken cancellationToken)
    {
        var frame = new byte[FrameHeaderLength + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        frame[3] = (byte)type;
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), streamId);
        payload.CopyTo(frame, FrameHeaderLength);
        await _stream.WriteAsync(frame, cancellationToken);
    }

    private readonly record struct Frame(FrameType Type, byte Flags, int StreamId, byte[] Payload);
}

using System.Globalization;
using System.Text;
using BgSync.Http.Storage;
using BgSync.Http.Storage.Format;
using Npgsql;
using NpgsqlTypes;

namespace BgSync.Http.PostgreSql;

/// <summary>A call of one of the schema's functions, whose arguments are added in their order.</summary>
internal sealed class FunctionCall
{
    private readonly string _schema;
    private readonly StringBuilder _text;
    private readonly NpgsqlBatchCommand _command = new();

    /// <param name="schema">The schema, quoted.</param>
    /// <param name="function">The function's name.</param>
    /// <param name="columns">The columns to select of its result.</param>
    public FunctionCall(string schema, string function, string columns = "*")
    {
        _schema = schema;
        _text = new StringBuilder(256).Append(CultureInfo.InvariantCulture, $"SELECT {columns} FROM {schema}.{function}(");
    }

    public FunctionCall Add(long? value) => Append(NpgsqlDbType.Bigint, value);

    public FunctionCall Add(int? value) => Append(NpgsqlDbType.Integer, value);

    public FunctionCall Add(bool value) => Append(NpgsqlDbType.Boolean, value);

    public FunctionCall Add(Guid value) => Append(NpgsqlDbType.Uuid, value);

    public FunctionCall Add(string? value) => Append(NpgsqlDbType.Text, value);

    public FunctionCall Add(byte[]? value) => Append(NpgsqlDbType.Bytea, value);

    public FunctionCall Add(ReadOnlyMemory<byte>? value) => Append(NpgsqlDbType.Bytea, value);

    public FunctionCall Add(string[] values) => Append(NpgsqlDbType.Array | NpgsqlDbType.Text, values);

    public FunctionCall Add(long[] values) => Append(NpgsqlDbType.Array | NpgsqlDbType.Bigint, values);

    public FunctionCall Add(Guid[] values) => Append(NpgsqlDbType.Array | NpgsqlDbType.Uuid, values);

    /// <summary>The limits of a queue: two numbers and what happens when they are reached.</summary>
    public FunctionCall Add(QueueLimits? limits) => Add(limits?.MaxEntries).Add(limits?.MaxBytes).Add((int)(limits?.WhenFull ?? 0));

    /// <summary>A body that comes along: its bytes and their checksum, or neither.</summary>
    public FunctionCall Add(EntryBody body, long? bodyId) => body.StoredId is null && bodyId is { } id
        ? Add((ReadOnlyMemory<byte>?)body.Inline).Add((long?)ChunkedBody.Checksum(body.Inline.Span, id, 0))
        : Add((byte[]?)null).Add((long?)null);

    public FunctionCall Add(StoredResponse? response, int? statusCode)
    {
        Begin();
        Add(statusCode).Add(response is null ? null : HeaderJson.Write(response.Headers)).Add((ReadOnlyMemory<byte>?)response?.Body);
        Append(NpgsqlDbType.Boolean, response?.IsWhole);
        return End("reply");
    }

    /// <summary>The run of a lease: ids and token, and an array for each column of the receipts, with nulls for none.</summary>
    public FunctionCall Add(IReadOnlyList<DeliveredEntry> delivered)
    {
        Add([.. delivered.Select(static one => one.Lease.EntryId)]).Add(delivered[0].Lease.Token);
        var responses = delivered.Select(static one => one.Delivery?.Response).ToArray();
        Append(NpgsqlDbType.Array | NpgsqlDbType.Integer, delivered.Select(static one => one.Delivery?.StatusCode).ToArray());
        Append(
            NpgsqlDbType.Array | NpgsqlDbType.Text,
            Array.ConvertAll(responses, static response => response is null ? null : HeaderJson.Write(response.Headers)));
        Append(NpgsqlDbType.Array | NpgsqlDbType.Bytea, Array.ConvertAll(responses, static response => response?.Body.ToArray()));
        return Append(NpgsqlDbType.Array | NpgsqlDbType.Boolean, Array.ConvertAll(responses, static response => response?.IsWhole));
    }

    public FunctionCall Add(EntryRow row)
    {
        Begin();
        Add(row.Queue).Add(StoreText.KeyOf(row.Lane)).Add((long?)row.Timestamp).Add((long?)row.ExpiresAt).Add(row.Method).Add(row.Uri).Add(row.Origin)
            .Add(row.Version).Add((long?)row.VersionPolicy).Add(row.Headers).Add(row.ContentHeaders).Add(row.Metadata)
            .Add(row.TraceParent).Add(row.BodyId).Add((long?)row.BodyLength).Add((long?)row.Checksum)
            .Add(StoreText.KeyOf(row.CoalesceKey)).Add(row.Prerequisite).Add((long?)row.Priority)
            .Add(NameBeside(row.Lane)).Add(NameBeside(row.CoalesceKey));
        return End("request");
    }

    // Where entries are not found by a name itself, it stands beside its key to be read.
    private static string? NameBeside(string? name) => StoreText.IsKey(name) ? null : StoreText.Readable(name);

    /// <summary>The call, all arguments being there.</summary>
    public NpgsqlBatchCommand Build()
    {
        _command.CommandText = _text.Append(')').ToString();
        return _command;
    }

    private FunctionCall Append(NpgsqlDbType type, object? value)
    {
        _command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = type, Value = value ?? DBNull.Value });
        Separate();
        _text.Append('$').Append(_command.Parameters.Count);
        return this;
    }

    private void Begin()
    {
        Separate();
        _text.Append("ROW(");
    }

    private FunctionCall End(string type)
    {
        _text.Append(")::").Append(_schema).Append('.').Append(type);
        return this;
    }

    private void Separate()
    {
        if (_text[^1] != '(')
        {
            _text.Append(", ");
        }
    }
}

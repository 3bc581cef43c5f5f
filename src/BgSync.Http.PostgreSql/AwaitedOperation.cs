using Npgsql;

namespace BgSync.Http.PostgreSql;

/// <summary>A call that changes the store and has a result.</summary>
internal sealed class AwaitedOperation<T>(Func<NpgsqlDataReader, Task<T>> read, CancellationToken cancellationToken) : StoreOperation
{
    private readonly TaskCompletionSource<T> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T _result = default!;

    public Task<T> Completion => _completion.Task;

    public override bool CancelIfAsked() =>
        cancellationToken.IsCancellationRequested && _completion.TrySetCanceled(cancellationToken);

    public override async Task ReadAsync(NpgsqlDataReader reader) => _result = await read(reader).ConfigureAwait(false);

    public override void Succeed() => _completion.SetResult(_result);

    public override void Fail(Exception exception) => _completion.SetException(exception);
}

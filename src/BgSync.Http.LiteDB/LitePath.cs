using LiteDB;

namespace BgSync.Http.LiteDB;

/// <summary>Where the database file is, and what it is encrypted with.</summary>
/// <param name="Path">The full path.</param>
/// <param name="Password">The password, if it is encrypted.</param>
internal readonly record struct LitePath(string Path, string? Password)
{
    /// <exception cref="ArgumentException">It names no file, or asks for what this store does not do.</exception>
    public static LitePath Of(LiteDBStoreOptions options)
    {
        if (string.IsNullOrWhiteSpace(options.ConnectionString))
        {
            throw new ArgumentException("Name the file: services.AddBackgroundSyncLiteDB(\"queues.db\").", nameof(options));
        }

        var connection = new ConnectionString(options.ConnectionString);
        if (string.IsNullOrWhiteSpace(connection.Filename) || connection.Filename.StartsWith(':'))
        {
            throw new ArgumentException("Name a file, for queues are to outlive the process: \"Filename=queues.db\".", nameof(options));
        }

        if (connection.Connection != ConnectionType.Direct || connection.ReadOnly)
        {
            throw new ArgumentException(
                "Leave out Connection and ReadOnly: the store writes to the file, and has it alone. Several processes can share the "
                + "SQLite store.",
                nameof(options));
        }

        return new(
            System.IO.Path.GetFullPath(connection.Filename), string.IsNullOrEmpty(connection.Password) ? null : connection.Password);
    }
}

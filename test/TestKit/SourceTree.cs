namespace TestKit;

/// <summary>The sources that the tests were built from.</summary>
public static class SourceTree
{
    // Not by [CallerFilePath]: a deterministic build puts "/_/" there.
    private static readonly string _root = FindRoot(AppContext.BaseDirectory);

    /// <summary>The path of a file of the repository.</summary>
    public static string PathOf(string file) => Path.Combine(_root, file);

    /// <summary>A file of the repository, read.</summary>
    public static string Read(string file) => File.ReadAllText(PathOf(file));

    /// <summary>The C# files of a library, as paths inside its folder.</summary>
    public static IEnumerable<string> LibraryFiles(string library) => Files($"src/{library}");

    /// <summary>The C# files of the tests, as paths inside the repository.</summary>
    public static IEnumerable<string> TestFiles() => Files("test").Select(static file => $"test/{file}");

    /// <summary>A C# file of a library, read.</summary>
    public static string ReadLibrary(string library, string file) => Read($"src/{library}/{file}");

    /// <summary>The code that stands in the README, in the test project of each library.</summary>
    public static IEnumerable<string> SnippetFiles() =>
        Directory.EnumerateDirectories(PathOf("test"))
            .Select(static project => Path.Combine("test", Path.GetFileName(project), "Readme", "ReadmeSnippets.cs"))
            .Where(static file => File.Exists(PathOf(file)));

    private static IOrderedEnumerable<string> Files(string folder) =>
        Directory.EnumerateFiles(PathOf(folder), "*.cs", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(PathOf(folder), file).Replace('\\', '/'))
            .Where(static file => !file.Split('/').Any(static part => part is "obj" or "bin"))
            .Order(StringComparer.Ordinal);

    private static string FindRoot(string folder) =>
        File.Exists(Path.Combine(folder, "BgSync.Http.sln"))
            ? folder
            : FindRoot(Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run inside the repository."));
}

// The real program: exit codes, one clear line for what goes wrong, and the contract of run and
// conformance.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "interp/npy.h"
#include "interp/onnx_io.h"
#include "interp/testcase.h"
#include "interp/text.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

class Cli : public testing::Test {
 protected:
  struct Outcome {
    int code = -1;
    std::string out, err;
  };

  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "assay_cli_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  Outcome Run(std::vector<std::string> args) const {
    args.insert(args.begin(), ASSAY_BINARY);
    std::vector<char*> argv;
    for (std::string& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    std::string out = Path("stdout"), err = Path("stderr");
    pid_t child = fork();
    if (child == 0) {
      dup2(open(out.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), STDOUT_FILENO);
      dup2(open(err.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), STDERR_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), ReadFile(out).value(),
            ReadFile(err).value()};
  }

  // The verb refuses with this code and one line that holds `message`.
  void ExpectError(std::vector<std::string> args, int code, const std::string& message) const {
    Outcome o = Run(args);
    EXPECT_EQ(o.code, code) << o.err;
    EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
    EXPECT_EQ(o.err.rfind("assay", 0), 0u) << o.err;
    EXPECT_NE(o.err.find(message), std::string::npos) << o.err;
    EXPECT_EQ(o.out, "");
  }

  std::string Write(const std::string& name, const std::string& text) const {
    Result<Model> m = ParseText(text);
    EXPECT_TRUE(m.ok()) << m.error().ToString();
    EXPECT_TRUE(SaveModel(*m, Path(name)).ok());
    return Path(name);
  }

  std::string folder_;
};

const char kSum[] = "graph(float[2] x) -> (y) { w = float[2] {1, 2} y = Add(x, w) }";

TEST_F(Cli, HelpAndVersionGoToStdout) {
  for (std::vector<std::string> args :
       {std::vector<std::string>{"--help"}, {"run", "--help"}, {"ops", "-h"}, {"--version"}}) {
    Outcome o = Run(args);
    EXPECT_EQ(o.code, 0);
    EXPECT_EQ(o.err, "");
    EXPECT_NE(o.out, "");
  }
  EXPECT_NE(Run({"--help"}).out.find("conformance"), std::string::npos);
}

TEST_F(Cli, UsageErrorsExit2WithOneLine) {
  ExpectError({}, 2, "assay --help");
  ExpectError({"frobnicate"}, 2, "no verb 'frobnicate'");
  ExpectError({"--frobnicate"}, 2, "frobnicate");
  ExpectError({"run"}, 2, "assay run: model is required");
  ExpectError({"run", "a", "b"}, 2, "assay run:");
  ExpectError({"run", "a", "--extent", "zero"}, 2, "--extent");
  ExpectError({"run", "a", "--seed", "-1"}, 2, "--seed");
  ExpectError({"conformance", folder_, "--rtol", "x"}, 2, "--rtol");
  ExpectError({"conformance", folder_, "--jobs", "0"}, 2, "--jobs");
  ExpectError({"ops", "--json", Path("no/such/folder.json")}, 2, "can't be written");
}

TEST_F(Cli, BadFilesExit3WithOneLine) {
  std::string good = ReadFile(Write("good.onnx", kSum)).value();
  ASSERT_TRUE(WriteFile(Path("empty.onnx"), "").ok());
  ASSERT_TRUE(WriteFile(Path("cut.onnx"), good.substr(0, good.size() - 5)).ok());
  ASSERT_TRUE(WriteFile(Path("garbage.onnx"), std::string(5000, '\xa7')).ok());
  ASSERT_TRUE(WriteFile(Path("text.onnx"), "<html>\nnot\na model</html>\n").ok());
  fs::create_directory(Path("folder.onnx"));
  ExpectError({"run", Path("missing.onnx")}, 3, "missing.onnx: can't be read: No such file");
  ExpectError({"run", Path("folder.onnx")}, 3, "folder");
  ExpectError({"run", Path("empty.onnx")}, 3, "is empty");
  ExpectError({"run", Path("cut.onnx")}, 3, "cut.onnx: ");
  ExpectError({"run", Path("garbage.onnx")}, 3, "garbage.onnx: ");
  ExpectError({"run", Path("text.onnx")}, 3, "text.onnx: ");
  ExpectError({"conformance", Path("missing")}, 3, "is not a folder");
  ExpectError({"conformance", Path("folder.onnx")}, 3, "holds no model.onnx");
}

TEST_F(Cli, BadModelsExitByKindWithOneLine) {
  struct Case {
    const char* what;
    std::function<void(onnx::GraphProto&)> damage;
    int code;
    const char* message;
  };
  auto input = [](onnx::GraphProto& g) {
    return g.mutable_input(0)->mutable_type()->mutable_tensor_type();
  };
  const Case cases[] = {
      {"cycle", [](onnx::GraphProto& g) { g.mutable_node(0)->set_input(0, "y"); }, 3, "cycle"},
      {"dangling input", [](onnx::GraphProto& g) { g.mutable_node(0)->set_input(0, "z"); }, 3,
       "'z'"},
      {"no such output", [](onnx::GraphProto& g) { g.mutable_output(0)->set_name("z"); }, 3, "'z'"},
      {"two makers", [](onnx::GraphProto& g) { *g.add_node() = g.node(0); }, 3, "twice"},
      {"shape mismatch",
       [&](onnx::GraphProto& g) { input(g)->mutable_shape()->mutable_dim(0)->set_dim_value(3); }, 3,
       "Add"},
      {"type mismatch", [&](onnx::GraphProto& g) { input(g)->set_elem_type(7); }, 3, "Add"},
      {"too few inputs",
       [](onnx::GraphProto& g) { g.mutable_node(0)->mutable_input()->RemoveLast(); }, 3, "missing"},
      {"bad attribute",
       [](onnx::GraphProto& g) {
         auto* a = g.mutable_node(0)->add_attribute();
         a->set_name("q");
         a->set_i(1);
       },
       3, "'q'"},
      {"negative dims", [](onnx::GraphProto& g) { g.mutable_initializer(0)->set_dims(0, -2); }, 3,
       "initializer 'w'"},
      {"huge weight",
       [](onnx::GraphProto& g) { g.mutable_initializer(0)->set_dims(0, INT64_MAX / 2); }, 5,
       "overflow"},
      {"huge input",
       [&](onnx::GraphProto& g) {
         input(g)->mutable_shape()->mutable_dim(0)->set_dim_value(int64_t{1} << 60);
       },
       5, "elements"},
      {"unknown operator",
       [](onnx::GraphProto& g) { g.mutable_node(0)->set_op_type("Frobnicate"); }, 4,
       "operator Frobnicate"},
      {"unknown domain", [](onnx::GraphProto& g) { g.mutable_node(0)->set_domain("com.example"); },
       4, "com.example.Add"},
      {"unknown element type",
       [](onnx::GraphProto& g) { g.mutable_initializer(0)->set_data_type(99); }, 4, "'w'"},
      {"sequence input",
       [](onnx::GraphProto& g) { g.mutable_input(0)->mutable_type()->mutable_sequence_type(); }, 4,
       "'x'"},
      {"control characters",
       [](onnx::GraphProto& g) { g.mutable_node(0)->set_input(0, "a\nb\x1b[31m"); }, 3,
       "a b\\x1b[31m"},
  };
  std::string good = ReadFile(Write("good.onnx", kSum)).value();
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    onnx::ModelProto m;
    ASSERT_TRUE(m.ParseFromString(good));
    c.damage(*m.mutable_graph());
    ASSERT_TRUE(WriteFile(Path("bad.onnx"), m.SerializeAsString()).ok());
    ExpectError({"run", Path("bad.onnx")}, c.code, c.message);
    if (std::string(c.what) == "huge input") continue;  // too large for a run alone
    ExpectError({"verify", Path("bad.onnx"), Path("bad.onnx")}, c.code, c.message);
    ExpectError({"repair", Path("bad.onnx"), Path("bad.onnx"), "--out", Path("o.onnx")}, c.code,
                c.message);
    ExpectError({"convert", Path("bad.onnx"), "--out", Path("o.onnx"), "--faults", "1"}, c.code,
                c.message);
  }
}

TEST_F(Cli, NewerOperatorSetsThanTheTableAreUnsupportedNotInvalid) {
  const std::string graph = "graph(float[2] x) -> (float[2] y) { y = Relu(x) {added_later=1} }";
  ExpectError({"run", Write("old.onnx", "opset 26 " + graph)}, 3, "added_later");
  ExpectError({"run", Write("new.onnx", "opset 27 " + graph)}, 4, "added_later");
}

TEST_F(Cli, RunReadsAndWritesTensors) {
  std::string model = Write("m.onnx", kSum);
  fs::create_directory(Path("in"));
  ASSERT_TRUE(SaveTensor(Tensor::Floats({2}, {10, 20}), "x", Path("in/input_0.pb")).ok());
  Outcome o =
      Run({"run", model, "--inputs", Path("in"), "--outputs", Path("out"), "--json", Path("j")});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.out, "y float[2] = 11 22\n");
  EXPECT_TRUE(LoadTensor(Path("out/output_0.pb")).value().Identical(Tensor::Floats({2}, {11, 22})));
  nlohmann::json j = nlohmann::json::parse(ReadFile(Path("j")).value());
  EXPECT_EQ(j["outputs"][0]["shape"], nlohmann::json::array({2}));

  fs::remove(Path("in/input_0.pb"));
  ASSERT_TRUE(SaveNpy(Tensor::Floats({2}, {1, 2}), Path("in/x.npy")).ok());
  o = Run({"run", model, "--inputs", Path("in"), "--outputs", Path("out"), "--npy", "--double",
           "--json", "-"});
  ASSERT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(nlohmann::json::parse(o.out)["outputs"][0]["type"], "double");
  EXPECT_EQ(LoadNpy(Path("out/y.npy")).value().AsDouble(1), 4.0);

  EXPECT_EQ(Run({"run", model, "--seed", "5"}).out, Run({"run", model, "--seed", "5"}).out);
  EXPECT_NE(Run({"run", model, "--seed", "5"}).out, Run({"run", model, "--seed", "6"}).out);
  ExpectError({"run", model, "--inputs", Path("nowhere")}, 3, "input_0.pb");
}

TEST_F(Cli, RunSaysWhatIsNotFinite) {
  std::string model = Write("m.onnx", "graph() -> (y) { z = float[1] {0} y = Div(z, z) }");
  EXPECT_EQ(Run({"run", model}).code, 0);
  Outcome o = Run({"run", model, "--finite"});
  EXPECT_EQ(o.code, 1);
  EXPECT_NE(o.out.find("not finite: y"), std::string::npos) << o.out;
}

TEST_F(Cli, ConformanceCountsPassedFailedUnsupported) {
  Model sum = ParseText(kSum).value();
  Tensor x = Tensor::Floats({2}, {1, 1});
  ASSERT_TRUE(SaveCase(Path("cases/good"), sum, {{x}, {Tensor::Floats({2}, {2, 3.0001f})}}).ok());
  EXPECT_EQ(Run({"conformance", Path("cases")}).code, 0);
  ASSERT_TRUE(SaveCase(Path("cases/deep/wrong"), sum, {{x}, {Tensor::Floats({2}, {2, 4})}}).ok());
  ASSERT_TRUE(SaveCase(Path("cases/shape"), sum, {{x}, {Tensor::Floats({1, 2}, {2, 3})}}).ok());
  ASSERT_TRUE(SaveCase(Path("cases/type"), sum, {{x}, {Tensor::Vector({2, 3})}}).ok());
  Model odd = ParseText("graph(float[2] x) -> (float[2] y) { y = Frobnicate(x) }").value();
  ASSERT_TRUE(SaveCase(Path("cases/odd"), odd, {{x}, {x}}).ok());
  ASSERT_TRUE(WriteFile(Path("cases/shape/model.onnx"), "?").ok());

  Outcome o = Run({"conformance", Path("cases") + "/", "--json", "-", "--jobs", "2"});
  EXPECT_EQ(o.code, 1);
  nlohmann::json j = nlohmann::json::parse(o.out);
  EXPECT_EQ(j["passed"], 1);
  EXPECT_EQ(j["failed"], 3);
  EXPECT_EQ(j["unsupported"], 1);
  EXPECT_EQ(j["by_operator"]["Add"]["passed"], 1);
  EXPECT_EQ(j["by_operator"]["Frobnicate"]["unsupported"], 1);
  ASSERT_EQ(j["failures"].size(), 3u);
  EXPECT_EQ(j["failures"][0]["case"], "deep/wrong");
  EXPECT_NE(j["failures"][0]["reason"].get<std::string>().find("element 1: got 3, want 4"),
            std::string::npos);
}

TEST_F(Cli, TextShowsAModelAndTurnsBackIntoIt) {
  std::string model = Write("m.onnx", kSum);
  Outcome shown = Run({"text", model});
  EXPECT_NE(shown.out.find("y = Add(x, w)"), std::string::npos) << shown.out;
  ASSERT_TRUE(WriteFile(Path("m.txt"), shown.out).ok());
  EXPECT_EQ(Run({"text", Path("m.txt"), "--out", Path("again.onnx")}).code, 0);
  EXPECT_EQ(ReadFile(Path("again.onnx")).value(), ReadFile(model).value());
  ASSERT_TRUE(WriteFile(Path("bad.txt"), "graph() -> () {\n  y = }").ok());
  ExpectError({"text", Path("bad.txt"), "--out", Path("bad.onnx")}, 3,
              "bad.txt:2:7: wanted a name");
  ExpectError({"text", Path("m.txt")}, 2, "--out");
}

TEST_F(Cli, TextDeclaresTypesOverTheInputsSymbols) {
  ASSERT_TRUE(WriteFile(Path("m.txt"),
                        "graph(float[N,3] x) -> (y) { h = Concat(x, x) {axis=0} "
                        "y = Relu(h) }")
                  .ok());
  ASSERT_EQ(Run({"text", Path("m.txt"), "--types", "--out", Path("m.onnx")}).code, 0);
  Outcome shown = Run({"text", Path("m.onnx")});
  EXPECT_NE(shown.out.find("value float[\"2*N\",3] h"), std::string::npos) << shown.out;
  ASSERT_TRUE(WriteFile(Path("bad.txt"),
                        "graph(float[N,3] x, float[N,4] z) -> (float y) "
                        "{ y = Add(x, z) }")
                  .ok());
  ExpectError({"text", Path("bad.txt"), "--types", "--out", Path("bad.onnx")}, 3, "bad.txt: ");
}

TEST_F(Cli, OpsListsTheTable) {
  Outcome o = Run({"ops", "--json", "-"});
  ASSERT_EQ(o.code, 0);
  nlohmann::json j = nlohmann::json::parse(o.out);
  ASSERT_GT(j["operators"].size(), 0u);
  EXPECT_TRUE(j["operators"][0]["supported"]["run"].is_boolean());
}

}  // namespace
}  // namespace assay

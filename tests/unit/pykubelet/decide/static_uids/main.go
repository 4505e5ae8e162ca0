// Prints what pykubelet/decide/go_structs.py and uids.txt hold. In a module that requires k8s.io/kubernetes (with the
// replace lines that devcluster/gobuild.py writes): go build; ./it types; ./it hash < manifests.yaml > uids.txt
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"reflect"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/utils/dump"
)

type T struct {
	Kind   string      `json:"kind"`
	Elem   string      `json:"elem,omitempty"`
	Key    string      `json:"key,omitempty"`
	Fields [][3]string `json:"fields,omitempty"`
}

var seen = map[string]T{}

func walk(t reflect.Type) string {
	n := t.String()
	if _, ok := seen[n]; ok {
		return n
	}
	x := T{Kind: t.Kind().String()}
	seen[n] = x
	switch t.Kind() {
	case reflect.Ptr, reflect.Slice, reflect.Array:
		x.Elem = walk(t.Elem())
	case reflect.Map:
		x.Key, x.Elem = walk(t.Key()), walk(t.Elem())
	case reflect.Struct:
		for i := 0; i < t.NumField(); i++ {
			f := t.Field(i)
			x.Fields = append(x.Fields, [3]string{f.Name, walk(f.Type), f.Tag.Get("json")})
		}
	}
	seen[n] = x
	return n
}

func main() {
	switch os.Args[1] {
	case "types":
		walk(reflect.TypeOf(api.Pod{}))
		walk(reflect.TypeOf(v1.Pod{}))
		b, _ := json.Marshal(seen)
		os.Stdout.Write(b)
	case "hash":
		data, _ := io.ReadAll(os.Stdin)
		for _, doc := range strings.Split(string(data), "\n---\n") {
			js, err := utilyaml.ToJSON([]byte(doc))
			if err != nil {
				fmt.Println("ERR", err)
				continue
			}
			obj, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(), js)
			if err != nil {
				fmt.Println("ERR", err)
				continue
			}
			h := fnv.New128a()
			s := dump.ForHash(obj)
			fmt.Fprintf(h, "%v", s)
			fmt.Fprintf(h, "host:%s", "n1")
			fmt.Fprintf(h, "file:%s", "/etc/kubernetes/manifests/a.yaml")
			fmt.Println(hex.EncodeToString(h.Sum(nil)))
		}
	}
}
